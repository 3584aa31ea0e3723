package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fanfare/pkg/broker"
	"fanfare/pkg/natsd/natstest"
)

// TestReadGoesFromBatchToBatch deletes some messages of the second batch while the first one is shown, and
// publishes others.
func TestReadGoesFromBatchToBatch(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	natstest.Erasable(t, js, "CALLBACKS")
	const all, deleted, more = 2300, 1200, 50
	body := make([]byte, 100)
	for range all {
		if _, err := js.Publish(t.Context(), "callbacks.wav.error", body); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := js.Stream(t.Context(), "CALLBACKS")
	if err != nil {
		t.Fatal(err)
	}
	var shown []uint64
	err = b.Read(within(t, patience), "callbacks.>", func(m broker.Message) error {
		shown = append(shown, m.Sequence)
		if m.Sequence > 1 {
			return nil
		}
		for i := range uint64(more) {
			publish(t, b, wav(fmt.Sprint(i)))
			if err := stream.DeleteMsg(t.Context(), deleted+i); err != nil {
				return err
			}
		}
		return nil
	})
	var want []uint64
	for sequence := range uint64(all) {
		if sequence+1 < deleted || sequence+1 >= deleted+more {
			want = append(want, sequence+1)
		}
	}
	if err != nil || !slices.Equal(shown, want) {
		t.Errorf("%d shown, want %d, %v", len(shown), len(want), err)
	}
}

// TestReadSaysWhyNothingIsRead reads where direct gets are not allowed, and when the time is over.
func TestReadSaysWhyNothingIsRead(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, wav("t"))
	read := func(ctx context.Context) error {
		return b.Read(ctx, "callbacks.>", func(broker.Message) error { return nil })
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := read(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("when the time is over: %v", err)
	}
	stream, err := js.Stream(t.Context(), "CALLBACKS")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.AllowDirect = false
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := read(t.Context()); err == nil || !strings.Contains(err.Error(), "CALLBACKS needs allow_direct") {
		t.Errorf("without direct gets: %v", err)
	}
}
