package broker_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

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
	fill(t, js, "callbacks.wav.error", all, 100)
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

// TestReadSaysWhyItEnds reads until the time is over, between two batches, and where direct gets are not allowed.
func TestReadSaysWhyItEnds(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	fill(t, js, "callbacks.wav.error", 1500, 100)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read := 0
	err := b.Read(ctx, "callbacks.>", func(broker.Message) error {
		read++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || read == 0 || read == 1500 {
		t.Errorf("when the time is over, after %d messages: %v", read, err)
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
	if err := b.Read(t.Context(), "callbacks.>", func(broker.Message) error { return nil }); err == nil || !strings.Contains(err.Error(), "CALLBACKS needs allow_direct") {
		t.Errorf("without direct gets: %v", err)
	}
}

// TestReadShowsTheMessageAlone wants no header that only the answer has to who reads a message.
func TestReadShowsTheMessageAlone(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	publish(t, b, wav("t"))
	followed := follow(t, b, "callbacks.>", beginning(), 1)[0]
	if err := b.Read(t.Context(), "callbacks.>", func(m broker.Message) error {
		if !reflect.DeepEqual(m, followed) {
			t.Errorf("read is\n%+v\nfollowed was\n%+v", m, followed)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestReadEndsAtAMessageThatLies reads messages whose publishers set what the server says of them.
func TestReadEndsAtAMessageThatLies(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		header, value string
		shown         int
		fails         bool
	}{
		"of the one before it": {"Nats-Last-Sequence", "7", 3, false},
		"of itself":            {"Nats-Sequence", "1", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, js := provisioned(t)
			for i := range 3 {
				msg := nats.NewMsg("callbacks.wav.error")
				if i == 1 {
					msg.Header.Set(row.header, row.value)
				}
				if _, err := js.PublishMsg(t.Context(), msg); err != nil {
					t.Fatal(err)
				}
			}
			shown := 0
			err := b.Read(within(t, patience), "callbacks.>", func(broker.Message) error { shown++; return nil })
			if shown != row.shown || err == nil == row.fails {
				t.Errorf("%d shown, %v", shown, err)
			}
		})
	}
}
