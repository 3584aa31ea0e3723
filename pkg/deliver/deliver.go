// Package deliver brings the messages of one durable to those who handle them.
//
// It asks for a message only when a worker is free for it, gives the server signs
// of life while one is in hand, and outlives its durable and its connection. What
// is in hand, or was handled and could not be settled, is not handed over twice.
// It never decides what becomes of a message.
package deliver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"fanfare/pkg/broker"
)

// MaxWorkers bounds the workers of one process: a durable takes 512 waiting
// requests, from all processes.
const MaxWorkers = 256

const (
	fetchWait  = 2 * time.Second // for one message; a shutdown waits as long for what is just being handed over
	fetchPause = time.Second     // after a fetch that failed
)

// HandBackDelay is what a message waits that a process gives back at its end: by
// then it asks for nothing any more.
const HandBackDelay = fetchWait

// Options configures a Loop. All fields but Stop are required.
type Options struct {
	Logger       *slog.Logger
	Subscription *broker.Subscription
	Workers      int           // 1 to MaxWorkers: deliveries handed over at the same time
	Drain        time.Duration // at shutdown, for what is in hand; then the context of Deliver ends

	// Deliver handles and settles a delivery, and calls done when it has. If that
	// is after its return, the worker takes another one meanwhile.
	Deliver func(ctx context.Context, d *broker.Delivery, done func())

	// Stop is called when nothing more is fetched, to settle what waits to be
	// handled; nil: nothing does.
	Stop func()
}

// Loop hands over the deliveries of one durable.
type Loop struct {
	options Options
	logger  *slog.Logger
	source  source
	inHand  inHand
	handed  sync.WaitGroup // deliveries that are not done
	settled unconfirmed
}

// New returns a loop. Run starts the work.
func New(o Options) *Loop {
	logger := o.Logger.With("durable", o.Subscription.Name())
	return &Loop{
		options: o,
		logger:  logger,
		source:  source{logger: logger, subscription: o.Subscription, begun: make(chan struct{}), trouble: newTrouble()},
		inHand:  inHand{deliveries: make(map[identity]*broker.Delivery)},
		settled: unconfirmed{deliveries: make(map[identity]struct{})},
	}
}

// Run works until ctx ends, or the durable turns out to be another than was asked
// for ([broker.ErrDiffers]). Then it fetches nothing more, and returns when what is
// in hand is done.
func (l *Loop) Run(ctx context.Context) error {
	fetching, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	living, end := context.WithCancel(context.WithoutCancel(ctx))
	var workers, others sync.WaitGroup
	defer others.Wait()
	defer end()
	others.Go(func() {
		if l.drain(fetching, living) {
			cancel()
		}
	})
	others.Go(func() {
		select {
		case <-living.Done():
		case <-l.source.begun: // by now the durable's ack wait is known
			others.Go(func() { l.keepAlive(living) })
			l.remember(living)
		}
	})
	for range l.options.Workers {
		workers.Go(func() {
			if err := l.work(fetching, working); err != nil {
				fail(err)
			}
		})
	}
	workers.Wait()
	l.handed.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(fetching)
}

// work is one worker's loop: it asks for a message only when it can take one.
// working outlives ctx, so that what is in hand can be finished.
func (l *Loop) work(ctx, working context.Context) error {
	for ctx.Err() == nil {
		d, err := l.source.next(ctx)
		switch {
		case errors.Is(err, broker.ErrDiffers):
			return err
		case err != nil:
			_ = Pause(ctx, fetchPause) // the loop's condition sees its end
		case d == nil || !l.inHand.take(d):
			// nothing came, or what came again is still in hand
		case ctx.Err() != nil:
			l.GiveBack(d, HandBackDelay) // for another process
			l.inHand.release(d)
		case l.settled.has(d):
			l.settleAgain(working, d)
			l.inHand.release(d)
		default:
			ctx, end := d.Trace(working)
			l.handed.Add(1)
			l.options.Deliver(ctx, d, func() {
				end()
				l.inHand.release(d)
				l.handed.Done()
			})
		}
	}
	return nil
}

// drain waits until nothing more is fetched, and then for as long as what is in hand
// may take. It reports whether that takes longer.
func (l *Loop) drain(fetching, living context.Context) bool {
	<-fetching.Done()
	if l.options.Stop != nil {
		l.options.Stop()
	}
	return Pause(living, l.options.Drain) == nil
}

// remember looks now and then how far the durable has come: if it is lost, what
// was settled since then comes again.
func (l *Loop) remember(ctx context.Context) {
	for Pause(ctx, l.options.Subscription.AckWait()/2) == nil {
		_ = l.options.Subscription.Remember(ctx) // trouble with the server is for the fetches to tell
	}
}

// Pause waits for d, or returns why ctx ended before.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
