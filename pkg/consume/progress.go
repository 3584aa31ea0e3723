package consume

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// How long a healthy runner may go without a sign of progress.
const (
	maxFetchSilence = 30 * time.Second
	maxMoveSilence  = 60 * time.Second
)

// progress remembers how fetching goes.
type progress struct {
	fetchedAt atomic.Int64 // Unix nanoseconds of the last fetch that returned; 0: none yet
	failing   atomic.Bool
}

// fetched notes that a fetch returned, and reports whether the one before failed.
func (p *progress) fetched(err error) (failedBefore bool) {
	if err == nil {
		p.fetchedAt.Store(time.Now().UnixNano())
	}
	return p.failing.Swap(err != nil)
}

// worker is one of the runner's hands.
type worker struct {
	movedAt atomic.Int64 // Unix nanoseconds of the last sign of progress in a delivery; 0: idle
}

func (w *worker) begin()   { w.movedAt.Store(time.Now().UnixNano()) }
func (w *worker) end()     { w.movedAt.Store(0) }
func (w *worker) move(int) { w.begin() }

// Check reports why the runner makes no progress, or nil: it is not ready while
// messages wait, a worker is free and no fetch has returned for 30 s, or while a
// delivery has moved no byte for 60 s.
func (r *Runner) Check(ctx context.Context) error {
	fetchedAt := r.progress.fetchedAt.Load()
	if fetchedAt == 0 {
		return fmt.Errorf("consume: durable %s was not found yet", r.contract.Type)
	}
	free := 0
	for _, w := range r.workers {
		movedAt := w.movedAt.Load()
		switch {
		case movedAt == 0:
			free++
		case since(movedAt) > maxMoveSilence:
			return fmt.Errorf("consume: a delivery has moved no byte for %s", maxMoveSilence)
		}
	}
	if free == 0 || since(fetchedAt) <= maxFetchSilence {
		return nil
	}
	backlog, err := r.broker.Backlog(ctx, r.contract.Type)
	if err != nil {
		return err
	}
	if backlog.Pending > 0 {
		return fmt.Errorf("consume: %d messages wait and no fetch has returned for %s", backlog.Pending, maxFetchSilence)
	}
	return nil
}

func since(unixNano int64) time.Duration { return time.Since(time.Unix(0, unixNano)) }
