package consume_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// durable is the wav callbacks' own, seen from the server's side.
type durable struct {
	js jetstream.JetStream
}

func (d durable) info(tb testing.TB) *jetstream.ConsumerInfo {
	tb.Helper()
	consumer, err := d.js.Consumer(tb.Context(), "CALLBACKS", "wav")
	if err != nil {
		tb.Fatal(err)
	}
	return consumer.CachedInfo()
}

// impatient makes the durable deliver again what it has heard nothing of for a
// moment, of which the runner knows nothing: it gives its signs of life too late.
func (d durable) impatient(tb testing.TB) {
	tb.Helper()
	config := d.info(tb).Config
	config.AckWait = 100 * time.Millisecond
	if _, err := d.js.UpdateConsumer(tb.Context(), "CALLBACKS", config); err != nil {
		tb.Fatal(err)
	}
}

// renewed replaces the durable by one that begins at the start of the stream.
func (d durable) renewed(tb testing.TB) {
	tb.Helper()
	config := d.info(tb).Config
	if err := d.js.DeleteConsumer(tb.Context(), "CALLBACKS", "wav"); err != nil {
		tb.Fatal(err)
	}
	if _, err := d.js.CreateConsumer(tb.Context(), "CALLBACKS", config); err != nil {
		tb.Fatal(err)
	}
}

// hands counts how many handlers have each task at the same time.
type hands struct {
	mu         sync.Mutex
	have, peak map[callback.TaskID]int
}

func newHands() *hands {
	return &hands{have: make(map[callback.TaskID]int), peak: make(map[callback.TaskID]int)}
}

func (h *hands) take(id callback.TaskID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.have[id]++
	h.peak[id] = max(h.peak[id], h.have[id])
}

func (h *hands) release(id callback.TaskID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.have[id]--
}

func (h *hands) most(id callback.TaskID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peak[id]
}

// TestAMessageThatComesAgainWhileItIsInHand delivers a message again while its first
// delivery is still being handled. A single worker is free: it asks for the next
// message only when it is done with the one before.
func TestAMessageThatComesAgainWhileItIsInHand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		again func(durable, testing.TB)
		asked uint64 // deliveries of the durable by when the free worker had the message, and asked for the next
	}{
		{"the ack wait has run out", durable.impatient, 4}, // of both messages, and of the first one twice more
		{"the durable is another", durable.renewed, 2},     // of both messages
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t, t.TempDir(), "")
			b, d := natstest.Provisioned(t, server), durable{natstest.JetStream(t, server)}
			h, finish := newHands(), make(chan struct{})
			run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Workers: 2, Handler: func(_ context.Context, d consume.Delivery) error {
				h.take(d.Callback.TaskID)
				defer h.release(d.Callback.TaskID)
				if d.Callback.TaskID == "task-1" {
					<-finish
				}
				return nil
			}})
			let := sync.OnceFunc(func() { close(finish) })
			t.Cleanup(let)
			publish(t, b, "wav", failedWAV(1), time.Now())
			eventually.Await(t, "one in hand", func() bool { return h.most("task-1") == 1 })
			publish(t, b, "wav", failedWAV(2), time.Now())
			eventually.Await(t, "the other one settled", func() bool { return unsettled(t, b, "wav") == 1 })

			test.again(d, t)
			eventually.Await(t, "delivered again", func() bool { return h.most("task-1") > 1 || d.info(t).Delivered.Consumer >= test.asked })
			let()
			eventually.Await(t, "everything settled", func() bool { return unsettled(t, b, "wav") == 0 })
			if n := h.most("task-1"); n != 1 {
				t.Errorf("%d handlers had it at the same time", n)
			}
		})
	}
}
