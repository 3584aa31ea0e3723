package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

const (
	fetchWait     = 2 * time.Second  // for one message; a shutdown waits as long for what is just being handed over
	handBackDelay = fetchWait        // by then this process asks for nothing any more
	inProgress    = 20 * time.Second // between signs of life; the durable waits 60 s
	settleWait    = 30 * time.Second // for insisting on an ack or a dead letter
	ackWait       = 5 * time.Second  // for one ack's confirmation
	ackPause      = 250 * time.Millisecond
	openPause     = time.Second // between looks for a durable that is not there
	maxWorkers    = 256         // the durable takes 512 waiting requests, from all processes
	defaultGiveUp = 6 * time.Hour
)

// Options configures a Runner. Logger, Registerer, Broker, Contract and Handler
// are required; the zero value of every other field selects the default written
// beside it.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Broker     *broker.Broker
	Contract   *callback.Contract
	Handler    Handler
	Workers    int           // 8: deliveries handled at the same time
	GiveUp     time.Duration // 6h: after receipt, a retryable failure becomes a dead letter
	Drain      time.Duration // 30s: at shutdown, for deliveries in hand
}

func (o *Options) validate() error {
	switch {
	case o.Logger == nil:
		return errors.New("consume: Logger is missing")
	case o.Registerer == nil:
		return errors.New("consume: Registerer is missing")
	case o.Broker == nil:
		return errors.New("consume: Broker is missing")
	case o.Contract == nil:
		return errors.New("consume: Contract is missing")
	case o.Handler == nil:
		return errors.New("consume: Handler is missing")
	case o.Workers < 0 || o.Workers > maxWorkers:
		return fmt.Errorf("consume: %d workers: want 1 to %d", o.Workers, maxWorkers)
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.GiveUp == 0 {
		o.GiveUp = defaultGiveUp
	}
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
	return nil
}

// Runner hands the deliveries of one durable to a handler and settles them.
type Runner struct {
	logger   *slog.Logger
	metrics  *runnerMetrics
	broker   *broker.Broker
	contract *callback.Contract
	handler  Handler
	giveUp   time.Duration
	drain    time.Duration
	workers  []*worker
	progress progress
}

// New validates the options. Run starts the work.
func New(o Options) (*Runner, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	workers := make([]*worker, o.Workers)
	for i := range workers {
		workers[i] = new(worker)
	}
	return &Runner{
		logger:   o.Logger,
		metrics:  newRunnerMetrics(o.Registerer),
		broker:   o.Broker,
		contract: o.Contract,
		handler:  o.Handler,
		giveUp:   o.GiveUp,
		drain:    o.Drain,
		workers:  workers,
	}, nil
}

// Run works until ctx ends. Then it fetches nothing more, and deliveries in hand
// have Drain to finish; what does not is handed back for another process.
func (r *Runner) Run(ctx context.Context) error {
	durable, err := r.open(ctx)
	if err != nil {
		return nil
	}
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(r.drain, cancel) })
	defer stop()

	var group sync.WaitGroup
	for _, w := range r.workers {
		group.Go(func() { r.work(ctx, working, w, durable) })
	}
	group.Wait()
	return nil
}

// open waits until there is a durable.
func (r *Runner) open(ctx context.Context) (*broker.Durable, error) {
	for {
		durable, err := r.broker.Durable(ctx, r.contract.Type)
		if err == nil {
			r.progress.fetched(nil)
			return durable, nil
		}
		r.report(err)
		if err := pause(ctx, openPause); err != nil {
			return nil, err
		}
	}
}

// work is one worker's loop: it asks for a message only when it can take one.
// working outlives ctx, so that what is in hand can be finished.
func (r *Runner) work(ctx, working context.Context, w *worker, durable *broker.Durable) {
	for ctx.Err() == nil {
		d, err := durable.Next(fetchWait)
		if err != nil {
			r.report(err)
			_ = pause(ctx, openPause) // the loop's condition sees its end
			continue
		}
		r.report(nil)
		if d == nil {
			continue
		}
		if ctx.Err() != nil {
			r.handBack(d)
			return
		}
		w.begin()
		r.deliver(working, w, d)
		w.end()
	}
}

// handBack returns a message that came after the end, for another process.
func (r *Runner) handBack(d *broker.Delivery) {
	if err := d.Retry(handBackDelay); err != nil {
		r.logger.Warn("message not handed back", "message_id", d.MessageID, "error", err)
	}
}

// report logs trouble with fetching when it begins and when it ends.
func (r *Runner) report(err error) {
	switch had := r.progress.fetched(err); {
	case err != nil && !had:
		r.logger.Warn("cannot fetch", "error", err)
	case err == nil && had:
		r.logger.Info("fetching again")
	}
}
