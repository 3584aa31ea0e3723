package deliver

import (
	"testing"
	"time"

	"fanfare/pkg/broker"
)

func TestAMessageInHandIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	h := inHand{deliveries: make(map[identity]*broker.Delivery)}
	one, again, two := &broker.Delivery{Sequence: 1}, &broker.Delivery{Sequence: 1}, &broker.Delivery{Sequence: 2}
	other := &broker.Delivery{Sequence: 1, Stored: time.Now()} // of a stream that replaced the first
	if !h.take(one) || h.take(again) || !h.take(two) || !h.take(other) || len(h.all()) != 3 {
		t.Error("want 1 taken once, and 2, and the other")
	}
	if h.release(one); !h.take(again) {
		t.Error("want 1 taken again")
	}
}

func TestUnconfirmedMessagesAreBounded(t *testing.T) {
	t.Parallel()
	u := unconfirmed{deliveries: make(map[identity]struct{})}
	var last *broker.Delivery
	for i := range uint64(2 * maxUnconfirmed) {
		last = &broker.Delivery{Sequence: i}
		u.remember(last)
	}
	if len(u.deliveries) != maxUnconfirmed || !u.has(last) {
		t.Errorf("%d are remembered, the last one: %v", len(u.deliveries), u.has(last))
	}
	if u.forget(last); u.has(last) {
		t.Error("not forgotten")
	}
}
