// Package reconcile sees to it that every task that was submitted ends in a result,
// also if its callback never comes.
//
// It expects the final callback of every task that was announced, or of which a first
// callback told; asks the provider about those that are overdue; and publishes what it
// learns as the callback that did not come, which nobody downstream can tell from it
// but by its source. A push and a poll of the same fact have the same message ID, so
// that the second one is a duplicate. Several processes share the work: what one has
// in hand, no other asks about. A task of which nothing can be learned in time gets a
// result that says so.
package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/errgroup"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/provider"
)

// Provider answers what became of a task.
type Provider interface {
	// Details asks once; an error says that asking is of no use.
	Details(ctx context.Context, contract *callback.Contract, id callback.TaskID) (provider.Answer, error)

	// Host names the provider, such as api.kie.ai.
	Host() string
}

// Options configures a Reconciler. Logger, Registerer, Broker, Contracts and Provider
// are required; the zero value of every other field selects the default written
// beside it.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Broker     *broker.Broker
	Contracts  callback.Contracts
	Provider   Provider

	After   time.Duration // 2m: from a task's submission to its first poll
	Every   time.Duration // 30s: between polls of a task that the provider answers; jittered by a tenth
	GiveUp  time.Duration // 24h: from a task's submission, unless its announcement says otherwise
	Rate    float64       // 10: polls per second, of all processes that ask this provider together
	Workers int           // 8: tasks that one process asks about at the same time
	Drain   time.Duration // 30s: at shutdown, for polls in hand
}

const maxRate = 1000

func (o *Options) validate() error {
	switch {
	case o.Logger == nil:
		return errors.New("reconcile: Logger is missing")
	case o.Registerer == nil:
		return errors.New("reconcile: Registerer is missing")
	case o.Broker == nil:
		return errors.New("reconcile: Broker is missing")
	case o.Contracts == nil:
		return errors.New("reconcile: Contracts is missing")
	case o.Provider == nil:
		return errors.New("reconcile: Provider is missing")
	case o.After < 0 || o.Every < 0 || o.GiveUp < 0 || o.Drain < 0:
		return errors.New("reconcile: a time is negative")
	case o.Rate < 0 || o.Rate > maxRate:
		return fmt.Errorf("reconcile: %g polls per second: want more than 0, and at most %d", o.Rate, maxRate)
	case o.Workers < 0 || o.Workers > deliver.MaxWorkers:
		return fmt.Errorf("reconcile: %d workers: want 1 to %d", o.Workers, deliver.MaxWorkers)
	}
	o.After = cmp.Or(o.After, 2*time.Minute)
	o.Every = cmp.Or(o.Every, 30*time.Second)
	o.GiveUp = cmp.Or(o.GiveUp, 24*time.Hour)
	o.Drain = cmp.Or(o.Drain, 30*time.Second)
	o.Workers = cmp.Or(o.Workers, 8)
	o.Rate = cmp.Or(o.Rate, 10)
	return nil
}

// Reconciler looks after the announced tasks of one provider.
type Reconciler struct {
	options Options
	logger  *slog.Logger
	metrics *metrics
	ledger  *broker.Ledger
	results *broker.Results
	census  *census
	breaker *gobreaker.CircuitBreaker[provider.Answer]
	tasks   *deliver.Loop // the announcements
	calls   *deliver.Loop // the callbacks
}

// New validates the options. Run starts the work.
func New(o Options) (*Reconciler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Reconciler{
		options: o,
		logger:  o.Logger.With("provider", o.Provider.Host()),
		metrics: newMetrics(o.Registerer, o.Contracts.Types()),
		ledger:  o.Broker.Ledger(),
		results: o.Broker.Results(),
		census:  newCensus(o.Contracts.Types()),
	}
	tasks, calls := o.Broker.AnnouncedTasks(o.Provider.Host()), o.Broker.EveryCallback()
	for _, c := range []prometheus.Collector{r.census, newBacklog(r.logger, o.Broker, tasks, calls)} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("reconcile: register metrics: %w", err)
		}
	}
	r.breaker = newBreaker(r.logger)
	r.tasks = deliver.New(deliver.Options{
		Logger:       r.logger,
		Subscription: tasks,
		Workers:      o.Workers,
		Drain:        o.Drain,
		Deliver:      r.visit,
	})
	r.calls = deliver.New(deliver.Options{
		Logger:       r.logger,
		Subscription: calls,
		Workers:      o.Workers,
		Drain:        o.Drain,
		Deliver:      r.note,
	})
	return r, nil
}

// Run works until ctx ends. Then polls in hand have Drain to finish.
func (r *Reconciler) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.tasks.Run(ctx) })
	group.Go(func() error { return r.calls.Run(ctx) })
	group.Go(func() error {
		r.count(ctx)
		return nil
	})
	return group.Wait()
}

// maxSilence is how long the server may leave a fetch unanswered; each one ends after
// a few seconds, and every poll after 15.
const maxSilence = time.Minute

// Check reports why the reconciler makes no progress, or nil.
func (r *Reconciler) Check(context.Context) error {
	for what, loop := range map[string]*deliver.Loop{"tasks": r.tasks, "callbacks": r.calls} {
		switch answered := loop.Answered(); {
		case answered.IsZero():
			return fmt.Errorf("reconcile: the durable of the %s was not found yet", what)
		case time.Since(answered) > maxSilence:
			return fmt.Errorf("reconcile: no fetch of %s was answered for %s", what, maxSilence)
		}
	}
	return nil
}
