package consume

import (
	"slices"
	"sync"

	"fanfare/pkg/broker"
)

// Bounds of the retries that wait in memory for a worker.
const (
	maxWaiting      = 2048
	maxWaitingBytes = 32 << 20
)

// retry is a delivery that is not its message's first.
type retry struct {
	delivery *broker.Delivery
	suspect  bool   // it is handled beside no other suspect
	handle   func() // in this delivery's own context
	done     func()
}

// retries keeps the retries of many failing tasks to half of the workers, so that a
// fresh message finds one that is free. What comes when those are busy waits, for to
// give it back would use a delivery up.
type retries struct {
	mu      sync.Mutex
	free    int  // workers that may take a retry
	suspect bool // one is being handled
	waiting []retry
	bytes   int // of waiting bodies
}

// retryWorkers is how many of the workers may handle retries at the same time.
func retryWorkers(workers int) int { return max(workers/2, 1) }

// add puts a retry in the queue, unless that is full.
func (q *retries) add(r retry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxWaiting || q.bytes+len(r.delivery.Body) > maxWaitingBytes {
		return false
	}
	q.waiting = append(q.waiting, r)
	q.bytes += len(r.delivery.Body)
	return true
}

// begin takes the oldest retry for a worker, if there is one and a worker may take
// it. Then end must be called.
func (q *retries) begin() (r retry, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := slices.IndexFunc(q.waiting, func(r retry) bool { return !r.suspect || !q.suspect })
	if q.free == 0 || next < 0 {
		return retry{}, false
	}
	r = q.waiting[next]
	q.waiting = slices.Delete(q.waiting, next, next+1)
	q.bytes -= len(r.delivery.Body)
	q.free--
	q.suspect = q.suspect || r.suspect
	return r, true
}

func (q *retries) end(r retry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	q.suspect = q.suspect && !r.suspect
}

// clear empties the queue.
func (q *retries) clear() (left []retry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left, q.waiting, q.bytes = q.waiting, nil, 0
	return left
}
