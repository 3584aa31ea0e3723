package consume

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// deliver takes one delivery through the whole line: decode, handle, settle.
func (r *Runner) deliver(ctx context.Context, w *worker, d *broker.Delivery) {
	start := time.Now()
	stop := r.keepAlive(d)
	cb, last, err := r.handle(ctx, w, d)
	stop()
	v, reason := judge(err, last)
	v, settled := r.settle(context.WithoutCancel(ctx), d, v, reason, err)

	took := time.Since(start)
	r.metrics.deliveries.WithLabelValues(string(v)).Inc()
	r.metrics.duration.Observe(took.Seconds())
	r.log(ctx, line{cb, d, v, took, err, settled})
}

// handle gives the callback to the handler. last tells that there will be no
// other delivery of it.
func (r *Runner) handle(ctx context.Context, w *worker, d *broker.Delivery) (cb callback.Callback, last bool, err error) {
	cb, err = r.contract.Decode(d.Body)
	if err != nil {
		return cb, true, fmt.Errorf("%w: %w", errInvalid, err)
	}
	cb.Received = d.Received
	last = time.Since(d.Received) >= r.giveUp
	return cb, last, r.safely(ctx, Delivery{Callback: cb, Last: last, Moved: w.move})
}

// safely makes an error of a handler's panic, which costs its own delivery and no
// other.
func (r *Runner) safely(ctx context.Context, d Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("consume: handler panicked: %v", p)
			r.logger.Error("handler panicked", "message_id", d.Callback.MessageID(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	return r.handler(ctx, d)
}

// keepAlive tells the server that the delivery is being worked on, until the
// returned function is called.
func (r *Runner) keepAlive(d *broker.Delivery) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(inProgress)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				if err := d.InProgress(); err != nil {
					r.logger.Warn("no sign of life given", "message_id", d.MessageID, "error", err)
				}
			}
		}
	}()
	return func() { close(done) }
}

// line is what there is to say about one delivery.
type line struct {
	callback callback.Callback
	delivery *broker.Delivery
	verdict  verdict
	took     time.Duration
	err      error // of the handler
	settled  error // of settling
}

func (r *Runner) log(ctx context.Context, l line) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("type", string(r.contract.Type)),
		slog.String("task_id", string(l.callback.TaskID)),
		slog.String("stage", string(l.callback.Stage)),
		slog.Int("code", int(l.callback.Code)),
		slog.Uint64("delivery", l.delivery.Number),
		slog.String("verdict", string(l.verdict)),
		slog.Float64("duration_ms", float64(l.took.Microseconds())/1000),
	}
	if l.err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", l.err.Error()))
	}
	if l.settled != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("settle_error", l.settled.Error()))
	}
	r.logger.LogAttrs(ctx, level, "delivery", attrs...)
}
