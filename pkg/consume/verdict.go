package consume

import (
	"context"
	"errors"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/deliver"
	"fanfare/pkg/format"
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
	reasonDeadly    = "deadly"    // handling it seems to end the process each time
)

// Errors of messages that the handler did not get to see.
var (
	errInvalid = errors.New("consume: not a valid callback")
	errDeadly  = errors.New("consume: handling this seems to end the process")
)

// decision is what is to become of a delivery, and why.
type decision struct {
	verdict verdict
	reason  string
	err     error // of the handler
}

// judge says what becomes of a message after its handler returned err.
func judge(err error, last bool) decision {
	switch {
	case err == nil:
		return decision{verdictAck, "", nil}
	case errors.Is(err, errInvalid):
		return decision{verdictDeadLetter, reasonInvalid, err}
	case errors.Is(err, errDeadly):
		return decision{verdictDeadLetter, reasonDeadly, err}
	case deliver.IsPermanent(err):
		return decision{verdictDeadLetter, reasonPermanent, err}
	case last && !ours(err):
		return decision{verdictDeadLetter, reasonGaveUp, err}
	default:
		return decision{verdictRetry, "", err}
	}
}

// ours reports whether the fault lies with the archive, the broker, our own end or
// our age, so that the message is not to blame.
func ours(err error) bool {
	return unwritable(err) || errors.Is(err, context.Canceled) || errors.Is(err, format.ErrNewer)
}

// settle carries out a decision and returns the verdict that took effect: a dead
// letter that cannot be stored is retried instead, so that the message is not
// lost.
func (r *Runner) settle(ctx context.Context, d *broker.Delivery, what decision) (verdict, error) {
	switch what.verdict {
	case verdictAck:
		r.history.forget(d.Sequence)
		return verdictAck, r.loop.Ack(ctx, d)
	case verdictDeadLetter:
		err := r.bury(ctx, d, what)
		if err == nil {
			r.history.forget(d.Sequence)
			return verdictDeadLetter, nil
		}
		if errors.Is(err, broker.ErrUnavailable) {
			r.metrics.refused.Inc()
		}
		return verdictRetry, errors.Join(err, d.Retry(jittered(step(r.history.number(d)))))
	default:
		if !ours(what.err) {
			r.history.failed(d.Sequence, what.err, time.Now())
		}
		return verdictRetry, d.Retry(r.delay(r.history.number(d), what.err))
	}
}

// delay is how long to wait before the next delivery: as the schedule says, or
// longer if the media host asks for it or many other retries come then.
func (r *Runner) delay(n uint64, err error) time.Duration {
	if errors.Is(err, context.Canceled) {
		return deliver.HandBackDelay // our own shutdown: another process may take it
	}
	delay := jittered(step(n))
	if fetch, ok := errors.AsType[*media.FetchError](err); ok {
		delay = max(delay, fetch.RetryAfter)
	}
	return r.calendar.book(time.Now(), delay)
}

// bury makes a dead letter of the message.
func (r *Runner) bury(ctx context.Context, d *broker.Delivery, what decision) error {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	first := r.history.failed(d.Sequence, what.err, time.Now())
	return d.DeadLetter(ctx, r.contract.Type, broker.Death{Reason: what.reason, First: first.err, FirstAt: first.at, Last: what.err})
}
