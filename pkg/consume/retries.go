package consume

import (
	"context"
	"slices"
	"sync"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/deliver"
)

// Bounds of the retries that wait in memory, in each queue.
const (
	maxWaiting      = 2048
	maxWaitingBytes = 32 << 20
)

// retry is a delivery that is not its message's first.
type retry struct {
	delivery *broker.Delivery
	handle   func() // in this delivery's own context
	done     func()
}

// queue holds retries until somebody is free for them, for to give one back would use
// a delivery up.
type queue struct {
	mu      sync.Mutex
	waiting []retry
	bytes   int // of waiting bodies
	closed  bool
}

// add puts a retry in the queue, unless that is full or closed.
func (q *queue) add(r retry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting) >= maxWaiting || q.bytes+len(r.delivery.Body) > maxWaitingBytes {
		return false
	}
	q.waiting = append(q.waiting, r)
	q.bytes += len(r.delivery.Body)
	return true
}

// take takes the i-th retry out of the queue. Its caller holds mu.
func (q *queue) take(i int) retry {
	r := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.bytes -= len(r.delivery.Body)
	return r
}

// close empties the queue, which takes nothing any more.
func (q *queue) close() (left []retry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	left, q.waiting, q.bytes = q.waiting, nil, 0
	return left
}

// retries keeps the retries of many failing tasks to half of the workers, so that a
// fresh message finds one that is free.
type retries struct {
	queue
	free int // workers that may take a retry
}

// retryWorkers is how many of the workers may handle retries at the same time.
func retryWorkers(workers int) int { return max(workers/2, 1) }

// begin takes the oldest retry for a worker, if there is one and a worker may take
// it. Then end must be called.
func (q *retries) begin() (r retry, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free == 0 || len(q.waiting) == 0 {
		return retry{}, false
	}
	q.free--
	return q.take(0), true
}

func (q *retries) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
}

// takeUp handles a delivery. A retry waits while retries have all the workers that
// they may have; whichever of these is free next takes it. A suspect waits for its
// turn, and no worker with it.
func (r *Runner) takeUp(ctx context.Context, d *broker.Delivery, done func()) {
	if d.Number == 1 {
		defer done()
		r.deliver(ctx, d)
		return
	}
	again := retry{delivery: d, handle: func() { r.deliver(ctx, d) }, done: done}
	if r.isSuspect(d) {
		if !r.suspects.add(again) {
			r.putOff(again)
		}
		return
	}
	if !r.retries.add(again) {
		r.putOff(again)
	}
	for next, ok := r.retries.begin(); ok; next, ok = r.retries.begin() {
		next.handle()
		next.done()
		r.retries.end()
	}
}

// putOff gives a retry back for which there is no room.
func (r *Runner) putOff(again retry) {
	r.history.putOff(again.delivery.Sequence)
	r.loop.GiveBack(again.delivery, r.calendar.book(time.Now(), deliver.HandBackDelay))
	again.done()
}

// stop gives back what waits.
func (r *Runner) stop() {
	for _, again := range slices.Concat(r.retries.close(), r.suspects.close()) {
		r.loop.GiveBack(again.delivery, deliver.HandBackDelay)
		again.done()
	}
}
