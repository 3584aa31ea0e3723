package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// beginning is before everything; the zero time means from now on.
func beginning() time.Time { return time.Unix(0, 1) }

// follow follows filter until it has seen want messages.
func follow(tb testing.TB, b *broker.Broker, filter string, since time.Time, want int) []broker.Message {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	var found []broker.Message
	err := b.Follow(ctx, filter, since, func(m broker.Message) error {
		if found = append(found, m); len(found) == want {
			cancel()
		}
		return nil
	})
	if err != nil {
		tb.Fatalf("follow %s: %v", filter, err)
	}
	if len(found) != want {
		tb.Fatalf("%d messages on %s, want %d", len(found), filter, want)
	}
	return found
}

func subjects(all []broker.Message) []string {
	var found []string
	for _, m := range all {
		found = append(found, m.Subject)
	}
	return found
}

func TestFollowShowsTheMessageAsItIsStored(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	cb := wav("t")
	publish(t, b, wav("before"))
	publish(t, b, cb)
	got := follow(t, b, "callbacks.>", beginning(), 2)[1]
	stored := message(t, js, "CALLBACKS", 2)
	if got.Subject != "callbacks.wav.error" || got.Sequence != 2 || !bytes.Equal(got.Body, cb.Body) {
		t.Errorf("shown: %+v", got)
	}
	if !got.Stored.Equal(stored.Time) || got.Stored.Location() != time.UTC {
		t.Errorf("stored %s, shown as %s", stored.Time, got.Stored)
	}
	if got.Header["ce-id"] != cb.MessageID() || got.Header["ce-type"] != "fanfare.callback.wav.error" || len(got.Header) != len(stored.Header) {
		t.Errorf("headers %v, shown as %v", stored.Header, got.Header)
	}
}

func TestFollowFilters(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for _, subject := range []string{
		"callbacks.wav.complete", "callbacks.wav.error", "callbacks.music.complete", "redeliver.wav.complete",
		"quarantine.wav", "dead-letters.wav", "dead-letters.music",
	} {
		if _, err := js.PublishMsg(t.Context(), nats.NewMsg(subject)); err != nil {
			t.Fatal(err)
		}
	}
	merge(t, b.Results(), document(wav("a*b")))
	music := wav("t")
	music.Type = "music"
	merge(t, b.Results(), document(music))
	for filter, want := range map[string][]string{
		"callbacks":              {"callbacks.wav.complete", "callbacks.wav.error", "callbacks.music.complete"},
		"callbacks.":             {"callbacks.wav.complete", "callbacks.wav.error", "callbacks.music.complete"},
		broker.AllCallbacks:      {"callbacks.wav.complete", "callbacks.wav.error", "callbacks.music.complete"},
		"callbacks.wav.>":        {"callbacks.wav.complete", "callbacks.wav.error"},
		"callbacks.*.complete":   {"callbacks.wav.complete", "callbacks.music.complete"},
		"callbacks.wav.complete": {"callbacks.wav.complete"},
		"redeliver":              {"redeliver.wav.complete"},
		"quarantine":             {"quarantine.wav"},
		"dead-letters":           {"dead-letters.wav", "dead-letters.music"},
		"dead-letters.music":     {"dead-letters.music"},
		"results":                {"results.wav.a=2Ab", "results.music.t"},
		"results.wav.>":          {"results.wav.a=2Ab"},
		"results.*.t":            {"results.music.t"},
	} {
		if got := subjects(follow(t, b, filter, beginning(), len(want))); !slices.Equal(got, want) {
			t.Errorf("%s shows %v, want %v", filter, got, want)
		}
	}
}

func TestFollowRefusesWhatNoStreamHolds(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	for _, filter := range []string{"", ">", "*", "*.wav.>", "callback.>", "callbacksx", "$KV.RESULTS.>", "KV_RESULTS", "CALLBACKS", " callbacks"} {
		err := b.Follow(within(t, patience), filter, time.Time{}, func(broker.Message) error { return nil })
		if err == nil {
			t.Errorf("follows %q", filter)
			continue
		}
		for _, word := range []string{fmt.Sprintf("%q", filter), "callbacks", "redeliver", "quarantine", "dead-letters", "results"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %q does not say %q", err, word)
			}
		}
	}
}

func TestFollowSince(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for _, id := range []string{"a", "b", "c"} {
		publish(t, b, wav(id))
	}
	second := message(t, js, "CALLBACKS", 2).Time
	for _, row := range []struct {
		since time.Time
		want  []uint64
	}{
		{beginning(), []uint64{1, 2, 3}},
		{second, []uint64{2, 3}},
		{second.Add(time.Nanosecond), []uint64{3}},
		{second.In(time.FixedZone("CET", 3600)), []uint64{2, 3}},
	} {
		var got []uint64
		for _, m := range follow(t, b, "callbacks", row.since, len(row.want)) {
			got = append(got, m.Sequence)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("since %s: %v, want %v", row.since, got, row.want)
		}
	}
}

// following follows in the background; stop ends it and returns what it saw.
func following(tb testing.TB, b *broker.Broker, filter string, since time.Time) (seen func() []broker.Message, stop func() error) {
	tb.Helper()
	var (
		mu    sync.Mutex
		found []broker.Message
	)
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() {
		done <- b.Follow(ctx, filter, since, func(m broker.Message) error {
			mu.Lock()
			defer mu.Unlock()
			found = append(found, m)
			return nil
		})
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	tb.Cleanup(func() { _ = stop() })
	return func() []broker.Message {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(found)
	}, stop
}

func TestFollowFromNowOnShowsNothingOld(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, wav("old"))
	seen, stop := following(t, b, "callbacks", time.Time{})
	eventually.Await(t, "following", func() bool {
		stream, err := js.Stream(t.Context(), "CALLBACKS")
		if err != nil {
			return false
		}
		names := 0
		for range stream.ConsumerNames(t.Context()).Name() {
			names++
		}
		return names == 5 // the four types', and the follower's
	})
	publish(t, b, wav("new"))
	eventually.Await(t, "the new message is shown", func() bool { return len(seen()) == 1 })
	if got := seen()[0].Header["ce-subject"]; got != "new" {
		t.Errorf("%s is shown", got)
	}
	if err := stop(); err != nil {
		t.Errorf("its context ended: %v", err)
	}
}

func TestFollowKeepsUpWithMessagesThatComeIn(t *testing.T) {
	t.Parallel()
	const old, fresh = 200, 400
	b, _ := provisioned(t)
	for i := range old {
		publish(t, b, wav(fmt.Sprintf("t%d", i)))
	}
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := range fresh {
			if _, err := b.Publish(t.Context(), wav(fmt.Sprintf("t%d", old+i))); err != nil {
				t.Error(err)
			}
		}
	})
	for i, m := range follow(t, b, "callbacks", beginning(), old+fresh) {
		if m.Sequence != uint64(i)+1 || m.Header["ce-subject"] != fmt.Sprintf("t%d", i) {
			t.Fatalf("message %d is %d, of task %s", i+1, m.Sequence, m.Header["ce-subject"])
		}
	}
	publishing.Wait()
}

func TestFollowGoesOnWhenTheServerComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := natstest.Start(t, dir, "127.0.0.1:0")
	natstest.Provisioned(t, server)
	addr := server.Addr().String()
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), URL: "nats://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	publish(t, b, wav("a"))
	seen, stop := following(t, b, "callbacks", beginning())
	eventually.Await(t, "the first is shown", func() bool { return len(seen()) == 1 })
	server.Stop()
	eventually.Await(t, "disconnected", func() bool { return !b.Connected() })
	natstest.Start(t, dir, addr)
	if _, err := b.Publish(within(t, patience), wav("b")); err != nil {
		t.Fatal(err)
	}
	eventually.Await(t, "the second is shown", func() bool { return len(seen()) == 2 })
	if got := seen()[1].Header["ce-subject"]; got != "b" {
		t.Errorf("%s is shown", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestFollowEndsWithTheErrorOfShowing(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	publish(t, b, wav("a"))
	publish(t, b, wav("b"))
	full, shown := errors.New("the pipe is closed"), 0
	err := b.Follow(within(t, patience), "callbacks", beginning(), func(broker.Message) error {
		shown++
		return full
	})
	if !errors.Is(err, full) || shown != 1 {
		t.Errorf("%v after %d messages", err, shown)
	}
}

func TestFollowWithoutAStreamIsAnError(t *testing.T) {
	t.Parallel()
	b := natstest.Connect(t, natstest.Start(t, t.TempDir(), ""))
	err := b.Follow(within(t, patience), "quarantine.music", time.Time{}, func(broker.Message) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "quarantine.music") {
		t.Errorf("the error is %v", err)
	}
}
