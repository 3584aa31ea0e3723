package consume

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/media"
)

// verdict is what a handler's result means for the message.
type verdict string

const (
	verdictAck        verdict = "ack"
	verdictRetry      verdict = "retry"
	verdictDeadLetter verdict = "dead_letter"
)

// Why a message became a dead letter.
const (
	reasonInvalid   = "invalid"   // the body is no valid callback of the durable's type
	reasonPermanent = "permanent" // the handler said that another delivery cannot help
	reasonGaveUp    = "gave_up"   // another delivery might have helped, but too many did not
)

// errInvalid marks a body that the handler never saw.
var errInvalid = errors.New("consume: not a valid callback")

// judge says what becomes of a message after its handler returned err.
func judge(err error, last bool) (v verdict, reason string) {
	switch {
	case err == nil:
		return verdictAck, ""
	case errors.Is(err, errInvalid):
		return verdictDeadLetter, reasonInvalid
	case permanent(err):
		return verdictDeadLetter, reasonPermanent
	case last && !ours(err):
		return verdictDeadLetter, reasonGaveUp
	default:
		return verdictRetry, ""
	}
}

// ours reports whether the fault lies with the archive, the broker or our own
// end, so that the message is not to blame.
func ours(err error) bool {
	return errors.Is(err, media.ErrArchive) || errors.Is(err, broker.ErrUnavailable) || errors.Is(err, context.Canceled)
}

// delay is how long to wait before delivery n+1: 1 s, 5 s, 30 s, 2 min, 10 min,
// then 30 min, each give or take a fifth; longer if the media host asks for it.
func delay(n uint64, err error) time.Duration {
	if errors.Is(err, context.Canceled) {
		return handBackDelay // our own shutdown: another process may take it
	}
	steps := [...]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	d := 30 * time.Minute
	if n >= 1 && n <= uint64(len(steps)) {
		d = steps[n-1]
	}
	d += rand.N(2*d/5) - d/5 //nolint:gosec // jitter needs no secrecy
	if fetch, ok := errors.AsType[*media.FetchError](err); ok {
		d = max(d, fetch.RetryAfter)
	}
	return d
}

// settle carries out a verdict and returns the one that took effect: a dead
// letter that cannot be stored is retried instead, so that the message is not
// lost.
func (r *Runner) settle(ctx context.Context, d *broker.Delivery, v verdict, reason string, cause error) (verdict, error) {
	switch v {
	case verdictAck:
		return v, r.ack(ctx, d)
	case verdictDeadLetter:
		ctx, cancel := context.WithTimeout(ctx, settleWait)
		defer cancel()
		err := d.DeadLetter(ctx, r.contract.Type, reason, cause)
		if err == nil {
			return v, nil
		}
		return verdictRetry, errors.Join(err, d.Retry(delay(d.Number, nil)))
	default:
		return v, d.Retry(delay(d.Number, cause))
	}
}

// ack insists, since a message that is not acked is handled twice.
func (r *Runner) ack(ctx context.Context, d *broker.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	for {
		once, cancel := context.WithTimeout(ctx, ackWait)
		err := d.Ack(once)
		cancel()
		if err == nil || pause(ctx, ackPause) != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
