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

// progress remembers how fetching and storing go.
type progress struct {
	fetchedAt atomic.Int64 // Unix nanoseconds of the last fetch that the server answered; 0: no durable yet
	held      atomic.Int32 // deliveries that are held on to, since nothing can be stored
}

// fetched notes that the server answered, or that there is a durable at all.
func (p *progress) fetched() { p.fetchedAt.Store(time.Now().UnixNano()) }

// worker is one of the runner's hands.
type worker struct {
	movedAt atomic.Int64 // Unix nanoseconds of the last sign of progress in a delivery; 0: idle
}

func (w *worker) begin()   { w.movedAt.Store(time.Now().UnixNano()) }
func (w *worker) end()     { w.movedAt.Store(0) }
func (w *worker) move(int) { w.begin() }

// Check reports why the runner makes no progress, or nil: it is not ready while
// messages wait, a worker is free and no fetch was answered for 30 s, while a
// delivery has moved no byte for 60 s, or while nothing can be stored.
func (r *Runner) Check(ctx context.Context) error {
	fetchedAt := r.progress.fetchedAt.Load()
	if fetchedAt == 0 {
		return fmt.Errorf("consume: durable %s was not found yet", r.contract.Type)
	}
	if held := r.progress.held.Load(); held > 0 {
		return fmt.Errorf("consume: the archive or the results cannot be written: %d deliveries are held until they can", held)
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
		return fmt.Errorf("consume: %d messages wait and no fetch was answered for %s", backlog.Pending, maxFetchSilence)
	}
	return nil
}

func since(unixNano int64) time.Duration { return time.Since(time.Unix(0, unixNano)) }
