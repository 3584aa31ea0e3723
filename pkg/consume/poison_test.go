package consume_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd"
	"fanfare/pkg/natsd/natstest"
)

// TestPoisonAmongManyIsSetAside has one message in a hundred that no delivery can
// help.
func TestPoisonAmongManyIsSetAside(t *testing.T) {
	t.Parallel()
	const tasks, every, publishers = 20_000, 100, 64
	server, err := natsd.Start(natsd.Options{
		Logger: natstest.Logger(t), Dir: t.TempDir(), MaxPayload: broker.MaxPayload, StoreMaxBytes: 1 << 30,
		Unsynced: true, // it is about counts, and the disk would be all that it measures
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	b := natstest.Provisioned(t, server)
	handled := newTally()
	run(t, consume.Options{Logger: slog.New(slog.DiscardHandler), Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		handled.add(d.Callback.TaskID)
		if d.Callback.Code == 413 {
			return consume.Permanent(errors.New("poison"))
		}
		return nil
	}})
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := p; i < tasks; i += publishers {
				cb := callback.Callback{Type: "wav", TaskID: callback.TaskID(fmt.Sprint("task-", i)), Stage: callback.Error, Code: 500, Received: time.Now()}
				if i%every == 0 {
					cb.Code = 413
				}
				cb.Body = fmt.Appendf(nil, `{"code":%d,"msg":"","data":{"task_id":%q}}`, cb.Code, cb.TaskID)
				if _, err := b.Publish(t.Context(), cb); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishing.Wait()
	eventually.Await(t, "everything settled", func() bool { return handled.tasks() == tasks && unsettled(t, b, "wav") == 0 })
	handled.onceEach(t, tasks)
	for _, letter := range deadLetters(t, b, tasks/every) {
		if !bytes.Contains(letter.Body, []byte("413")) {
			t.Errorf("a good one is a dead letter: %s", letter.Body)
		}
	}
}
