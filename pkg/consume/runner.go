package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
)

const (
	settleWait    = 30 * time.Second // for insisting on a dead letter
	probePause    = 5 * time.Second  // between looks at an archive or results that cannot be written
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

	// Probe reports why media or results could not be stored right now. While a
	// handler fails for that reason, its delivery is held on to instead of being
	// used up; nil means that only the broker can be to blame.
	Probe func(context.Context) error

	// Unseen is told of a callback whose message became a dead letter without the
	// handler having seen this delivery; nil means that nobody wants to know.
	Unseen func(context.Context, callback.Callback) error

	Workers int           // 8: deliveries handled at the same time
	GiveUp  time.Duration // 6h: after receipt, a retryable failure becomes a dead letter
	Drain   time.Duration // 30s: at shutdown, for deliveries in hand
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
	case o.Drain < 0:
		return fmt.Errorf("consume: drain of %s: want none or more", o.Drain)
	case o.Workers < 0 || o.Workers > deliver.MaxWorkers:
		return fmt.Errorf("consume: %d workers: want 1 to %d", o.Workers, deliver.MaxWorkers)
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
	probe    func(context.Context) error
	unseen   func(context.Context, callback.Callback) error
	giveUp   time.Duration
	loop     *deliver.Loop
	progress progress
	calendar *calendar
	history  *history
	retries  *retries
}

// New validates the options. Run starts the work.
func New(o Options) (*Runner, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Runner{
		logger:   o.Logger,
		metrics:  newRunnerMetrics(o.Registerer),
		broker:   o.Broker,
		contract: o.Contract,
		handler:  o.Handler,
		probe:    o.Probe,
		unseen:   o.Unseen,
		giveUp:   o.GiveUp,
		progress: progress{free: o.Workers, busy: make(map[*worker]struct{})},
		calendar: newCalendar(o.Workers),
		history:  newHistory(),
		retries:  &retries{free: retryWorkers(o.Workers)},
	}
	r.loop = deliver.New(deliver.Options{
		Logger:       o.Logger,
		Subscription: o.Broker.OwnDurable(o.Contract.Type),
		Workers:      o.Workers,
		Drain:        o.Drain,
		Deliver:      r.takeUp,
	})
	return r, nil
}

// Run works until ctx ends. Then it fetches nothing more, and deliveries in hand
// have Drain to finish; what does not is handed back for another process.
func (r *Runner) Run(ctx context.Context) error {
	ended := context.AfterFunc(ctx, r.giveBackWaiting)
	defer ended()
	err := r.loop.Run(ctx)
	r.giveBackWaiting() // what a worker added meanwhile
	return err
}

// giveBackWaiting gives the retries back that wait for a worker.
func (r *Runner) giveBackWaiting() {
	for _, retry := range r.retries.clear() {
		r.loop.GiveBack(retry.delivery, deliver.HandBackDelay)
		retry.done()
	}
}

// takeUp handles a delivery. A retry waits while retries have all the workers that
// they may have; whichever of these is free next takes it.
func (r *Runner) takeUp(ctx context.Context, d *broker.Delivery, done func()) {
	if d.Number == 1 {
		defer done()
		r.deliver(ctx, d)
		return
	}
	again := retry{delivery: d, suspect: r.suspects(ctx, d), handle: func() { r.deliver(ctx, d) }, done: done}
	if !r.retries.add(again) {
		r.history.putOff(d.Sequence)
		r.loop.GiveBack(d, r.calendar.book(time.Now(), time.Second))
		done()
	}
	for {
		next, ok := r.retries.begin()
		if !ok {
			return
		}
		next.handle()
		next.done()
		r.retries.end(next)
	}
}

// suspects reports whether a message may end the process. What was in hand beside one
// that did comes again together with it, and would be taken for deadly too: suspects
// are handled one at a time, and after a pause of any length, so that each is sooner
// or later done before the one that is to blame.
func (r *Runner) suspects(ctx context.Context, d *broker.Delivery) bool {
	if !suspect(r.history.number(d), time.Since(d.Stored), d.AckWait) {
		return false
	}
	_ = deliver.Pause(ctx, rand.N(d.AckWait/4)) //nolint:gosec // chance needs no secrecy; the end of ctx is for the handler to see
	return true
}
