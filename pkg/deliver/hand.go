package deliver

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"fanfare/pkg/broker"
)

// identity is a message's: a sequence number alone begins again with a new stream.
type identity struct {
	sequence uint64
	stored   time.Time
}

func of(d *broker.Delivery) identity { return identity{d.Sequence, d.Stored} }

// inHand knows the deliveries that were handed over and are not done: a message that
// comes again meanwhile, since signs of life were lost, is not handled twice.
type inHand struct {
	mu         sync.Mutex
	deliveries map[identity]*broker.Delivery
}

func (h *inHand) take(d *broker.Delivery) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, taken := h.deliveries[of(d)]; taken {
		return false
	}
	h.deliveries[of(d)] = d
	return true
}

func (h *inHand) release(d *broker.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.deliveries, of(d))
}

func (h *inHand) all() []*broker.Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.deliveries))
}

// keepAlive tells the server what is being worked on, until ctx ends.
func (l *Loop) keepAlive(ctx context.Context) {
	for Pause(ctx, l.options.Subscription.AckWait()/3) == nil {
		for _, d := range l.inHand.all() {
			if err := d.InProgress(); err != nil {
				l.logger.Warn("no sign of life given", "message_id", d.MessageID, "error", err)
			}
		}
	}
}
