package reconcile

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/ledger"
)

const (
	recountEvery = time.Hour // since entries expire without a word
	recountPause = 5 * time.Second
)

// census counts the tasks in the ledger, and tells Prometheus once it has counted all.
type census struct {
	types         []callback.Type
	tasks, oldest *prometheus.Desc

	mu      sync.Mutex
	counted bool // the count is one: before, a zero would say that there is nothing
	count   count
}

// count is a state of the count. Tasks that nothing is expected of any more are
// numbers, the others are known by name.
type count struct {
	states map[callback.Type]map[ledger.State]int
	open   map[string]ledger.Entry
}

func newCount() count {
	return count{states: make(map[callback.Type]map[ledger.State]int), open: make(map[string]ledger.Entry)}
}

// see counts an entry. fresh says that it may have been counted before, in the state
// that it was in.
func (c *count) see(e ledger.Entry, fresh bool) {
	key := callback.Key(e.Type, e.TaskID, ".")
	states := c.states[e.Type]
	if states == nil {
		states = make(map[ledger.State]int)
		c.states[e.Type] = states
	}
	if before, known := c.open[key]; known {
		states[before.State]--
	} else if fresh && e.Was != "" && !e.Was.Open() {
		states[e.Was]-- // given up, and resolved after all
	}
	states[e.State]++
	delete(c.open, key)
	if e.State.Open() {
		c.open[key] = e
	}
}

func newCensus(types []callback.Type) *census {
	return &census{
		types:  types,
		tasks:  prometheus.NewDesc("fanfare_tasks", "Tasks in the ledger, by state (expected, answered, overdue, resolved, given_up).", []string{"type", "state"}, nil),
		oldest: prometheus.NewDesc("fanfare_task_age_oldest_seconds", "Time since the submission of the oldest task whose final callback is still expected; 0 when there is none.", nil, nil),
		count:  newCount(),
	}
}

// Describe implements [prometheus.Collector].
func (c *census) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.tasks
	descs <- c.oldest
}

// Collect implements [prometheus.Collector].
func (c *census) Collect(metrics chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.counted {
		return
	}
	for _, t := range c.types {
		for _, s := range ledger.States() {
			metrics <- prometheus.MustNewConstMetric(c.tasks, prometheus.GaugeValue, float64(c.count.states[t][s]), string(t), string(s))
		}
	}
	oldest := time.Duration(0)
	for _, e := range c.count.open {
		oldest = max(oldest, time.Since(e.SubmittedAt))
	}
	metrics <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, oldest.Seconds())
}

// count counts the tasks in the ledger until ctx ends, every now and then anew.
func (r *Reconciler) count(ctx context.Context) {
	for ctx.Err() == nil {
		once, cancel := context.WithTimeout(ctx, recountEvery)
		err := r.recount(once)
		cancel()
		if err != nil {
			r.logger.WarnContext(ctx, "tasks not counted", "error", err)
			_ = deliver.Pause(ctx, recountPause) // the loop's condition sees its end
		}
	}
}

// recount counts from nothing and then follows. Until it knows all that there is, the
// count before stands.
func (r *Reconciler) recount(ctx context.Context) error {
	counting, current := newCount(), false
	return r.ledger.Watch(ctx, func(e ledger.Entry) error {
		if !current {
			counting.see(e, false)
			return nil
		}
		r.census.mu.Lock()
		defer r.census.mu.Unlock()
		r.census.count.see(e, true)
		return nil
	}, func() {
		current = true
		r.census.mu.Lock()
		defer r.census.mu.Unlock()
		r.census.count, r.census.counted = counting, true
	})
}
