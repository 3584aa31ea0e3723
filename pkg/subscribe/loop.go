package subscribe

import (
	"context"
	"errors"
	"sync"
	"time"

	"fanfare/pkg/broker"
)

const (
	fetchWait     = 2 * time.Second // for one message; a shutdown waits as long for what is just being handed over
	fetchPause    = time.Second     // after a fetch that failed
	handBackDelay = fetchWait       // by then this process asks for nothing any more
)

// loop fetches the deliveries of one durable, each by a worker that is free for it.
type loop struct {
	source  source
	workers int
	drain   time.Duration
	deliver func(context.Context, *broker.Delivery)
}

// run works until ctx ends or the durable cannot be used. Then it fetches nothing
// more, and deliveries in hand have drain to finish.
func (l *loop) run(ctx context.Context) error {
	fetching, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(fetching, func() { time.AfterFunc(l.drain, cancel) })
	defer stop()

	var group sync.WaitGroup
	for range l.workers {
		group.Go(func() {
			if err := l.work(fetching, working); err != nil {
				fail(err)
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(fetching)
}

// work is one worker's loop: it asks for a message only when it can take one.
// working outlives ctx, so that what is in hand can be finished.
func (l *loop) work(ctx, working context.Context) error {
	for ctx.Err() == nil {
		d, err := l.source.next(ctx)
		switch {
		case errors.Is(err, broker.ErrDiffers):
			return err
		case err != nil:
			_ = pause(ctx, fetchPause) // the loop's condition sees its end
		case d == nil:
		case ctx.Err() != nil:
			l.handBack(d)
		default:
			l.deliver(working, d)
		}
	}
	return nil
}

// handBack returns a message that came after the end, for another copy.
func (l *loop) handBack(d *broker.Delivery) {
	if err := d.Retry(handBackDelay); err != nil {
		l.source.logger.Warn("message not handed back", "message_id", d.MessageID, "error", err)
	}
}
