package consume

import (
	"sync"
	"time"
)

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
