package subscribe

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/deliver"
)

// verdict is what becomes of a message.
type verdict string

const (
	verdictAck   verdict = "ack"
	verdictRetry verdict = "retry"
	verdictTerm  verdict = "term"
)

// deliverer takes deliveries through handling and settling.
type deliverer struct {
	logger   *slog.Logger
	loop     *deliver.Loop
	handle   func(context.Context, *broker.Delivery) error
	maxDelay time.Duration // before another delivery
}

func (v *deliverer) deliver(ctx context.Context, d *broker.Delivery) {
	start := time.Now()
	err := deliver.Safely(v.logger, d, func() error { return v.handle(ctx, d) })
	verdict, settled := v.settle(ctx, d, err)
	d.Judged(ctx, string(verdict), deliver.Trouble(err, settled))
	v.log(ctx, d, verdict, time.Since(start), err, settled)
}

// settle tells the server what becomes of the message. What fails because its time
// at shutdown is over goes to another copy at once.
func (v *deliverer) settle(ctx context.Context, d *broker.Delivery, err error) (verdict, error) {
	switch {
	case err == nil:
		return verdictAck, v.loop.Ack(context.WithoutCancel(ctx), d)
	case deliver.IsPermanent(err):
		return verdictTerm, d.Term(err.Error())
	case ctx.Err() != nil:
		return verdictRetry, d.Retry(deliver.HandBackDelay)
	default:
		return verdictRetry, d.Retry(delay(d.Number, v.maxDelay))
	}
}

func (v *deliverer) log(ctx context.Context, d *broker.Delivery, verdict verdict, took time.Duration, err, settled error) {
	level := slog.LevelDebug
	attrs := []slog.Attr{
		slog.String("message_id", d.MessageID),
		slog.Uint64("delivery", d.Number),
		slog.String("verdict", string(verdict)),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	}
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	if settled != nil {
		attrs = append(attrs, slog.String("settle_error", settled.Error()))
	}
	if settled != nil || verdict == verdictTerm {
		level = slog.LevelError
	}
	v.logger.LogAttrs(ctx, level, "delivery", attrs...)
}

// delay is how long to wait before delivery n+1: 1 s, 2 s, 4 s … up to longest,
// each give or take a fifth.
func delay(n uint64, longest time.Duration) time.Duration {
	d := longest
	if n < 10 {
		d = min(d, time.Second<<(n-1))
	}
	return d + rand.N(2*d/5) - d/5 //nolint:gosec // jitter needs no secrecy
}
