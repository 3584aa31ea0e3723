package consume

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// How long a healthy runner may go without a sign of progress.
const (
	maxFetchSilence = 30 * time.Second
	maxMoveSilence  = 60 * time.Second
)

// progress remembers how handling and storing go.
type progress struct {
	held atomic.Int32 // deliveries that are held on to, since nothing can be stored

	mu   sync.Mutex
	free int // workers that handle nothing; -1 when suspects keep one hand more busy
	busy map[*worker]struct{}
}

// worker is one of the runner's hands, while it handles a delivery.
type worker struct {
	movedAt atomic.Int64 // Unix nanoseconds of the last sign of progress
}

func (w *worker) move(int) { w.movedAt.Store(time.Now().UnixNano()) }

func (p *progress) begin() *worker {
	w := new(worker)
	w.move(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free--
	p.busy[w] = struct{}{}
	return w
}

func (p *progress) end(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	delete(p.busy, w)
}

// stalled reports whether a delivery has moved no byte for too long, and how many
// workers are free.
func (p *progress) stalled() (stalled bool, free int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.busy {
		if time.Since(time.Unix(0, w.movedAt.Load())) > maxMoveSilence {
			return true, p.free
		}
	}
	return false, p.free
}

// Check reports why the runner makes no progress, or nil: it is not ready while
// messages wait, a worker is free and no fetch was answered for 30 s, while a
// delivery has moved no byte for 60 s, or while nothing can be stored.
func (r *Runner) Check(ctx context.Context) error {
	answered := r.loop.Answered()
	if answered.IsZero() {
		return fmt.Errorf("consume: durable %s was not found yet", r.contract.Type)
	}
	if held := r.progress.held.Load(); held > 0 {
		return fmt.Errorf("consume: the archive or the results cannot be written: %d deliveries are held until they can", held)
	}
	stalled, free := r.progress.stalled()
	if stalled {
		return fmt.Errorf("consume: a delivery has moved no byte for %s", maxMoveSilence)
	}
	if free <= 0 || time.Since(answered) <= maxFetchSilence {
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
