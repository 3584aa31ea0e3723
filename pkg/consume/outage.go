package consume

import (
	"context"
	"errors"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/media"
)

// unwritable reports whether the archive or the results are to blame for a
// handler's error, and not the message.
func unwritable(err error) bool {
	return errors.Is(err, media.ErrArchive) || errors.Is(err, broker.ErrUnavailable)
}

// insist handles a delivery, and holds on to it for as long as nothing can be
// stored: the worker fetches nothing meanwhile, and the delivery is not used up.
func (r *Runner) insist(ctx context.Context, w *worker, d *broker.Delivery) (cb callback.Callback, last bool, err error) {
	cb, last, err = r.handle(ctx, w, d)
	if !r.stuck(ctx, err) {
		return cb, last, err
	}
	if r.progress.held.Add(1) == 1 {
		r.logger.Error("the archive or the results cannot be written: fetching stops until they can", "error", err)
	}
	defer func() {
		if r.progress.held.Add(-1) == 0 && ctx.Err() == nil {
			r.logger.Info("the archive and the results can be written again")
		}
	}()
	for r.stuck(ctx, err) {
		if ended := deliver.Pause(ctx, probePause); ended != nil {
			return cb, last, errors.Join(err, ended)
		}
		if r.storable(ctx) {
			cb, last, err = r.handle(ctx, w, d)
		}
	}
	return cb, last, err
}

// stuck reports whether err means that nothing can be stored, and not that ctx has
// ended. An archive that can be written has trouble with this delivery alone, which is
// then retried like any other.
func (r *Runner) stuck(ctx context.Context, err error) bool {
	return ctx.Err() == nil && unwritable(err) && (errors.Is(err, broker.ErrUnavailable) || !r.storable(ctx))
}

func (r *Runner) storable(ctx context.Context) bool {
	return r.probe == nil || r.probe(ctx) == nil
}
