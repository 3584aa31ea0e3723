package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/format"
)

// deliver takes one delivery through the whole line: decode, handle, settle.
func (r *Runner) deliver(ctx context.Context, d *broker.Delivery) {
	w := r.progress.begin()
	defer r.progress.end(w)
	start := time.Now()
	cb, last, err := r.insist(ctx, w, d)
	what := judge(err, last)
	if what.verdict == verdictRetry {
		r.calendar.took(time.Since(start)) // its next one takes as long, as far as anyone can tell
	}
	var settled error
	what.verdict, settled = r.settle(context.WithoutCancel(ctx), d, what)
	took := time.Since(start)
	r.metrics.deliveries.WithLabelValues(string(what.verdict)).Inc()
	observe(ctx, r.metrics.duration, took)
	judged(ctx, d, what, settled)
	r.log(ctx, line{cb, d, what.verdict, took, err, settled})
}

// handle gives the callback to the handler. last tells that there will be no
// other delivery of it.
func (r *Runner) handle(ctx context.Context, w *worker, d *broker.Delivery) (cb callback.Callback, last bool, err error) {
	cb, err = d.Callback(r.contract)
	if errors.Is(err, format.ErrNewer) {
		return cb, false, err
	}
	if err != nil {
		return cb, true, fmt.Errorf("%w: %w", errInvalid, err)
	}
	age := time.Since(d.Stored)
	last = age >= r.giveUp
	if deadly(r.history.number(d), age, r.durable.AckWait()) {
		err = fmt.Errorf("%w: delivered %d times", errDeadly, d.Number-1)
	} else {
		err = deliver.Safely(r.logger, d, func() error {
			return r.handler(ctx, Delivery{Callback: cb, Last: last, Moved: w.move})
		})
	}
	if r.abandon != nil && judge(err, last).verdict == verdictDeadLetter {
		err = cmp.Or(r.abandon(ctx, cb), err)
	}
	return cb, last, err
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
