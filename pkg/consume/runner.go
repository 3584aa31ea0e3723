package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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

	// Abandon is told of a callback that no handler will see again, before its
	// message becomes a dead letter; nil means that nobody wants to know.
	Abandon func(context.Context, callback.Callback) error

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
	case o.GiveUp < 0:
		return fmt.Errorf("consume: give up after %s: want more than that", o.GiveUp)
	case o.Drain < 0:
		return fmt.Errorf("consume: drain of %s: want more than that", o.Drain)
	case o.Workers < 0 || o.Workers > deliver.MaxWorkers:
		return fmt.Errorf("consume: %d workers: want 1 to %d", o.Workers, deliver.MaxWorkers)
	}
	o.Workers = cmp.Or(o.Workers, 8)
	o.GiveUp = cmp.Or(o.GiveUp, defaultGiveUp)
	o.Drain = cmp.Or(o.Drain, 30*time.Second)
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
	abandon  func(context.Context, callback.Callback) error
	giveUp   time.Duration
	durable  *broker.Subscription
	loop     *deliver.Loop
	progress progress
	calendar *calendar
	history  *history
	retries  *retries
	suspects *suspects
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
		abandon:  o.Abandon,
		giveUp:   o.GiveUp,
		durable:  o.Broker.OwnDurable(o.Contract.Type),
		progress: progress{free: o.Workers, busy: make(map[*worker]struct{})},
		calendar: newCalendar(o.Workers),
		history:  newHistory(),
		retries:  &retries{free: retryWorkers(o.Workers)},
		suspects: newSuspects(),
	}
	registerHeld(o.Registerer, &r.progress)
	r.loop = deliver.New(deliver.Options{
		Logger:       o.Logger,
		Subscription: r.durable,
		Workers:      o.Workers,
		Drain:        o.Drain,
		Deliver:      r.takeUp,
		Stop:         r.stop,
	})
	return r, nil
}

// Run works until ctx ends. Then it fetches nothing more, and deliveries in hand
// have Drain to finish; what does not is handed back for another process.
func (r *Runner) Run(ctx context.Context) error {
	working, end := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer end()
	others.Go(func() { r.handleSuspects(working) })
	return r.loop.Run(ctx)
}
