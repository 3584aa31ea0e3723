package consume

import (
	"context"
	"math/rand/v2"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/deliver"
)

// How many deliveries a message may have had before its handler is taken to end
// the process each time, and how many of them retries must leave unexplained: for
// that, and to suspect it.
const (
	deadlyDeliveries = 12
	unexplained      = 6
	suspicious       = 2
)

// deadly reports whether a message that is delivered for the n-th time has ended
// the process time and again: it was delivered 12 times before, far more often
// than retries account for.
func deadly(n uint64, age, ackWait time.Duration) bool {
	return n > deadlyDeliveries && unaccounted(n, age, ackWait) >= unexplained
}

// suspect reports whether a message that is delivered for the n-th time may have
// ended processes, or been in hand beside one that did.
func suspect(n uint64, age, ackWait time.Duration) bool {
	return unaccounted(n, age, ackWait) >= suspicious
}

// unaccounted is how many deliveries before the n-th no retries account for. If they
// came faster than a message comes again that nobody settles, which takes its
// durable's ack wait, something else does.
func unaccounted(n uint64, age, ackWait time.Duration) uint64 {
	others := n - 1 - min(scheduled(age), n-1)
	if ackWait <= 0 || others > uint64(max(age, 0)/ackWait) { //nolint:gosec // not negative
		return 0
	}
	return others
}

// suspects are retries of messages that may end the process. What was in hand beside
// one that did comes again together with it, and would be taken for deadly too.
type suspects struct {
	queue
	came chan struct{} // of one place: some wait
}

func newSuspects() *suspects { return &suspects{came: make(chan struct{}, 1)} }

func (q *suspects) add(r retry) bool {
	added := q.queue.add(r)
	select {
	case q.came <- struct{}{}:
	default:
	}
	return added
}

// one takes any one of them.
func (q *suspects) one() (r retry, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return retry{}, false
	}
	return q.take(rand.N(len(q.waiting))), true //nolint:gosec // chance needs no secrecy
}

func (r *Runner) isSuspect(d *broker.Delivery) bool {
	return suspect(r.history.number(d), time.Since(d.Stored), r.durable.AckWait())
}

// handleSuspects handles them until ctx ends: one at a time and in no order, so that
// each is sooner or later done before the one that is to blame; and after a pause in
// which those gather that come together.
func (r *Runner) handleSuspects(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.suspects.came:
		}
		if deliver.Pause(ctx, rand.N(r.durable.AckWait()/4)) != nil { //nolint:gosec // chance needs no secrecy
			return
		}
		for next, ok := r.suspects.one(); ok; next, ok = r.suspects.one() {
			next.handle()
			next.done()
		}
	}
}
