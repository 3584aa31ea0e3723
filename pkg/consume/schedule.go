package consume

import (
	"math/rand/v2"
	"sync"
	"time"
)

// step is how long to wait before delivery n+1, give or take a fifth: 1 s, 5 s,
// 30 s, 2 min, 10 min, then 30 min each.
func step(n uint64) time.Duration {
	steps := [...]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	if n >= 1 && n <= uint64(len(steps)) {
		return steps[n-1]
	}
	return 30 * time.Minute
}

func jittered(d time.Duration) time.Duration {
	return d + rand.N(2*d/5) - d/5 //nolint:gosec // jitter needs no secrecy
}

// How many deliveries a message may have had before its handler is taken to end
// the process each time, and how many of them retries must leave unexplained: for
// that, and to suspect it.
const (
	deadlyDeliveries = 12
	unexplained      = 6
	suspicious       = 1
)

// deadly reports whether a message that is delivered for the n-th time has ended
// the process time and again: it was delivered 12 times before, far more often
// than retries account for.
func deadly(n uint64, age, ackWait time.Duration) bool {
	return n > deadlyDeliveries && unaccounted(n, age, ackWait) >= unexplained
}

// suspect reports whether a message that is delivered for the n-th time may have
// ended a process, or been in hand beside one that did.
func suspect(n uint64, age, ackWait time.Duration) bool {
	return unaccounted(n, age, ackWait) >= suspicious
}

// unaccounted is how many deliveries before the n-th no retries account for. If they
// came faster than a message comes again that nobody settles, which takes its
// durable's ack wait, something else does.
func unaccounted(n uint64, age, ackWait time.Duration) uint64 {
	retries, at := uint64(0), time.Duration(0)
	for n > retries {
		at += step(retries+1) * 4 / 5 // the least that jitter leaves
		if at > age {
			break
		}
		retries++
	}
	others := n - 1 - min(retries, n-1)
	if ackWait <= 0 || others > uint64(max(age, 0)/ackWait) { //nolint:gosec // not negative
		return 0
	}
	return others
}

// calendar spreads retries out in time, so that those of many failing tasks take
// no more than half of the workers, and a fresh message finds one that is free.
type calendar struct {
	mu       sync.Mutex
	capacity time.Duration           // of handling, in each second
	booked   map[int64]time.Duration // by Unix second; full ones are passed over
	usual    time.Duration           // what a retry takes, as an average that forgets
}

// maxUsual keeps one delivery that was held for hours from counting as usual.
const maxUsual = time.Minute

// maxPutOff is how much later than wanted a retry can come.
const maxPutOff = time.Hour

func newCalendar(workers int) *calendar {
	return &calendar{capacity: time.Duration(retryWorkers(workers)) * time.Second, booked: make(map[int64]time.Duration)}
}

// took tells how long a delivery took that is to be retried.
func (c *calendar) took(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usual += (min(d, maxUsual) - c.usual) / 4
}

// book returns when a retry that is wanted after delay can come, if it takes as
// long as others did.
func (c *calendar) book(now time.Time, delay time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	for second := range c.booked {
		if second < now.Unix() {
			delete(c.booked, second)
		}
	}
	wanted, left, start := now.Add(delay).Unix(), c.usual, int64(-1)
	for second := wanted; second <= wanted+int64(maxPutOff.Seconds()); second++ {
		room := c.capacity - c.booked[second]
		if room <= 0 {
			continue
		}
		if start < 0 {
			start = second
		}
		use := min(room, left)
		c.booked[second] += use
		if left -= use; left <= 0 {
			break
		}
	}
	if start < 0 {
		return delay + maxPutOff
	}
	return delay + time.Duration(start-wanted)*time.Second
}
