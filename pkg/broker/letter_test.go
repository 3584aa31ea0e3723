package broker_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// dead makes a dead letter of a callback of its own for each id.
func dead(tb testing.TB, b *broker.Broker, ids ...string) {
	tb.Helper()
	d := durable(tb, b, "wav")
	for _, id := range ids {
		publish(tb, b, wav(id))
		die(tb, d)
	}
}

// letters returns the dead letters of a type, or all.
func letters(tb testing.TB, b *broker.Broker, t callback.Type) []broker.DeadLetter {
	tb.Helper()
	var found []broker.DeadLetter
	if err := b.DeadLetters(tb.Context(), t, func(l broker.DeadLetter) error {
		found = append(found, l)
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return found
}

func TestDeadLetterReadsAsItWasWritten(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	cb := wav("a*b.c:d")
	publish(t, b, cb)
	failed := time.Date(2026, 7, 1, 12, 30, 16, 0, time.UTC)
	if err := next(t, durable(t, b, "wav")).DeadLetter(t.Context(), "wav", broker.Death{
		Reason: "gave_up", First: errors.New("refused"), FirstAt: failed, Last: errors.New("reset"),
	}); err != nil {
		t.Fatal(err)
	}
	letter, err := b.FromDeadLetters(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	stored := message(t, js, "DEAD_LETTERS", 1)
	if apart := stored.Time.Sub(letter.Died); apart < -time.Second || apart > time.Second || letter.Died.Location() != time.UTC {
		t.Errorf("died %s, stored %s", letter.Died, stored.Time)
	}
	if !bytes.Equal(letter.Body, cb.Body) {
		t.Errorf("body %s", letter.Body)
	}
	names := slices.Sorted(maps.Keys(letter.Header))
	if want := []string{
		"Fanfare-Deliveries", "Fanfare-Died", "Fanfare-First-Error", "Fanfare-First-Failed", "Fanfare-Last-Error",
		"Fanfare-Reason", "Fanfare-Received", "Fanfare-Subject", "Fanfare-Version", "ce-code", "ce-datacontenttype", "ce-id", "ce-source", "ce-specversion",
		"ce-stage", "ce-subject", "ce-time", "ce-type",
	}; !slices.Equal(names, want) || letter.Header["ce-id"] != cb.MessageID() {
		t.Errorf("headers %v, want %v", letter.Header, want)
	}
	letter.Died, letter.Header, letter.Body = time.Time{}, nil, nil
	want := broker.DeadLetter{
		Sequence: 1, Type: "wav", Subject: "callbacks.wav.error", MessageID: "wav/a*b.c:d/error/500", TaskID: "a*b.c:d", Stage: "error",
		Reason: "gave_up", Deliveries: 1, FirstError: "refused", LastError: "reset", Received: cb.Received, FirstFailed: failed,
	}
	if fmt.Sprintf("%+v", letter) != fmt.Sprintf("%+v", want) {
		t.Errorf("read  %+v\nwrote %+v", letter, want)
	}
}

// Whoever may write to the stream may have written anything.
func TestForeignDeadLetterCanBeRead(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	const hostile = "\x1b[2J\u202e"
	msg := nats.NewMsg("dead-letters.\x1b[2J")
	for _, name := range []string{
		"Fanfare-Subject", "Fanfare-Reason", "Fanfare-Deliveries", "Fanfare-First-Error", "Fanfare-Last-Error", "Fanfare-Received",
		"Fanfare-First-Failed", "Fanfare-Died", "Fanfare-Redelivery-Of", "ce-id", "ce-subject",
	} {
		msg.Header[name] = []string{hostile}
	}
	for _, msg := range []*nats.Msg{msg, nats.NewMsg("dead-letters.wav")} {
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	found := letters(t, b, "")
	if len(found) != 2 {
		t.Fatalf("%d dead letters", len(found))
	}
	first := found[0]
	if first.Type != "?[2J" || first.Reason != "?[2J?" || first.LastError != "?[2J?" || first.TaskID != "?[2J?" || first.Deliveries != 0 {
		t.Errorf("read %+v", first)
	}
	for i, letter := range found {
		stored := message(t, js, "DEAD_LETTERS", uint64(i)+1).Time
		if !letter.Died.Equal(stored) || !letter.Received.Equal(stored) || !letter.FirstFailed.IsZero() {
			t.Errorf("times of %+v, stored %s", letter, stored)
		}
	}
}

func TestDeadLettersAreListedByType(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	if found := letters(t, b, ""); len(found) != 0 {
		t.Errorf("an empty stream holds %v", found)
	}
	for _, subject := range []string{"dead-letters.wav", "dead-letters.music", "dead-letters.wav"} {
		if _, err := js.PublishMsg(t.Context(), nats.NewMsg(subject)); err != nil {
			t.Fatal(err)
		}
	}
	for typ, want := range map[callback.Type][]uint64{"": {1, 2, 3}, "wav": {1, 3}, "music": {2}, "cover": nil} {
		var got []uint64
		for _, letter := range letters(t, b, typ) {
			got = append(got, letter.Sequence)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q lists %v, want %v", typ, got, want)
		}
	}
}

func TestListingBearsWhatOthersDoMeanwhile(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for range 6 {
		if _, err := js.PublishMsg(t.Context(), nats.NewMsg("dead-letters.wav")); err != nil {
			t.Fatal(err)
		}
	}
	var got []uint64
	if err := b.DeadLetters(within(t, patience), "wav", func(l broker.DeadLetter) error {
		if len(got) == 0 {
			if _, err := js.PublishMsg(t.Context(), nats.NewMsg("dead-letters.wav")); err != nil {
				return err
			}
			for _, sequence := range []uint64{1, 2, 4, 6} {
				if err := b.DropFromDeadLetters(t.Context(), sequence); err != nil {
					return err
				}
			}
		}
		got = append(got, l.Sequence)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []uint64{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("lists %v, want %v", got, want)
	}
}

func TestListingEndsWithTheErrorOfShowing(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	dead(t, b, "a", "b")
	full, shown := errors.New("the pipe is closed"), 0
	err := b.DeadLetters(t.Context(), "", func(broker.DeadLetter) error {
		shown++
		return full
	})
	if !errors.Is(err, full) || shown != 1 {
		t.Errorf("%v after %d dead letters", err, shown)
	}
}

func TestDeadLetterThatIsNotThere(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	dead(t, b, "a", "b")
	if err := b.DropFromDeadLetters(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, sequence := range []uint64{0, 1, 3, math.MaxUint64} {
		_, err := b.FromDeadLetters(t.Context(), sequence)
		_, again := b.Redeliver(t.Context(), sequence)
		for what, err := range map[string]error{"read": err, "redeliver": again, "drop": b.DropFromDeadLetters(t.Context(), sequence)} {
			if !errors.Is(err, broker.ErrNotKept) {
				t.Errorf("%s %d: %v is no ErrNotKept", what, sequence, err)
			}
		}
	}
	if left := letters(t, b, ""); len(left) != 1 || left[0].TaskID != "b" {
		t.Errorf("left are %+v", left)
	}
}
