package consume

import (
	"sync"
	"time"

	"fanfare/pkg/broker"
)

// maxRemembered bounds how many messages a history remembers.
const maxRemembered = 4096

// past is what this process remembers of a message.
type past struct {
	putOff uint64    // deliveries that were put off, unhandled
	err    error     // of the first delivery that failed; nil: none has
	at     time.Time // of that
}

// history remembers unsettled messages by their sequence. What it has forgotten,
// or another process knows, is taken for nothing.
type history struct {
	mu    sync.Mutex
	pasts map[uint64]past
}

func newHistory() *history { return &history{pasts: make(map[uint64]past)} }

// change remembers a message's past otherwise, and returns it.
func (h *history) change(sequence uint64, change func(*past)) past {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, known := h.pasts[sequence]
	if !known && len(h.pasts) >= maxRemembered {
		for other := range h.pasts {
			delete(h.pasts, other) // any one: what it says is a help, not a record
			break
		}
	}
	change(&p)
	h.pasts[sequence] = p
	return p
}

// failed notes that a delivery failed, and returns how the message failed first.
func (h *history) failed(sequence uint64, err error, at time.Time) past {
	return h.change(sequence, func(p *past) {
		if p.err == nil {
			p.err, p.at = err, at
		}
	})
}

// putOff notes that a delivery was put off.
func (h *history) putOff(sequence uint64) {
	h.change(sequence, func(p *past) { p.putOff++ })
}

func (h *history) forget(sequence uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pasts, sequence)
}

// number is which of the deliveries that were not put off this one is, from 1.
func (h *history) number(d *broker.Delivery) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return d.Number - min(h.pasts[d.Sequence].putOff, d.Number-1)
}
