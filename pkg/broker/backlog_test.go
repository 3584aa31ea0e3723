package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

func TestBacklogCountsWhatIsLeftToDo(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	check := func(when string, want broker.Backlog, older, younger time.Time) {
		t.Helper()
		var (
			got   broker.Backlog
			asked time.Time
		)
		eventually.Await(t, fmt.Sprintf("%s: %+v", when, want), func() bool { // the server's counts lag behind a publish
			asked = time.Now()
			got = backlog(t, b, "wav")
			return got.Pending == want.Pending && got.AckPending == want.AckPending && got.Redelivered == want.Redelivered
		})
		switch oldest := got.Oldest; {
		case older.IsZero() && oldest != 0:
			t.Errorf("%s: the oldest is %s old, want none", when, oldest)
		case !older.IsZero() && (oldest > time.Since(older) || oldest < asked.Sub(younger)):
			t.Errorf("%s: the oldest is %s old, want %s to %s", when, oldest, asked.Sub(younger), time.Since(older))
		}
		if got.Unsettled() != want.Unsettled() {
			t.Errorf("%s: %d unsettled, want %d", when, got.Unsettled(), want.Unsettled())
		}
	}
	var none time.Time
	check("empty", broker.Backlog{}, none, none)

	music := wav("m")
	music.Type = "music"
	publish(t, b, music) // must not count, older than all others though it is
	<-time.After(moment)
	first := time.Now()
	publish(t, b, wav("a"))
	afterFirst := time.Now()
	check("one waits", broker.Backlog{Pending: 1}, first, afterFirst)
	d := durable(t, b, "wav")
	one := next(t, d)
	check("it is out", broker.Backlog{AckPending: 1}, none, none)
	if err := one.Retry(0); err != nil {
		t.Fatal(err)
	}
	one = next(t, d)
	check("it is out again", broker.Backlog{AckPending: 1, Redelivered: 1}, none, none)
	<-time.After(moment)
	second := time.Now()
	publish(t, b, wav("b"))
	afterSecond := time.Now()
	<-time.After(moment)
	third := time.Now()
	publish(t, b, wav("c"))
	afterThird := time.Now()
	check("two more wait", broker.Backlog{Pending: 2, AckPending: 1, Redelivered: 1}, second, afterSecond)
	two := next(t, d)
	if err := two.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("the second is done before the first", broker.Backlog{Pending: 1, AckPending: 1, Redelivered: 1}, third, afterThird)
	if err := one.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("two are done", broker.Backlog{Pending: 1}, third, afterThird)
	if err := next(t, d).Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("all are done", broker.Backlog{}, none, none)
}

func TestBacklogCountsReplayedDeadLetters(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	if _, err := js.Publish(t.Context(), "redeliver.wav.complete", nil); err != nil {
		t.Fatal(err)
	}
	replayed := time.Now()
	<-time.After(moment)
	check := func(when string, want uint64) {
		t.Helper()
		var (
			got   broker.Backlog
			asked time.Time
		)
		eventually.Await(t, fmt.Sprintf("%s: %d messages", when, want), func() bool {
			asked = time.Now()
			got = backlog(t, b, "wav")
			return got.Unsettled() == want
		})
		if got.Oldest < asked.Sub(replayed) || got.Oldest > time.Since(replayed)+patience {
			t.Errorf("%s: backlog %+v, want the oldest %s old", when, got, asked.Sub(replayed))
		}
	}
	check("alone", 1)
	publish(t, b, wav("t"))
	check("before a callback", 2)
}

func TestBacklogOfNothingIsAnError(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	if _, err := b.Backlog(t.Context(), "lyrics"); err == nil || !strings.Contains(err.Error(), "lyrics") {
		t.Errorf("the error is %v", err)
	}
	server := natstest.Start(t, t.TempDir(), "")
	gone := natstest.Provisioned(t, server)
	server.Stop()
	if _, err := gone.Backlog(within(t, moment), "wav"); err == nil {
		t.Error("a backlog without a server")
	}
}

func TestActivityMovesWithEveryStep(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	types := []callback.Type{"wav", "music"}
	var last broker.Activity
	step := func(what string, unsettled, moves uint64) {
		t.Helper()
		var now broker.Activity
		eventually.Await(t, fmt.Sprintf("%s: %d unsettled", what, unsettled), func() bool { // the server's counts lag behind a publish
			var err error
			if now, err = b.Activity(t.Context(), types); err != nil {
				t.Fatal(err)
			}
			return now.Unsettled == unsettled
		})
		if now.Moves != last.Moves+moves {
			t.Errorf("%s: %+v after %+v, want %d moves more", what, now, last, moves)
		}
		last = now
	}
	step("nothing", 0, 0)
	publish(t, b, wav("a"))
	step("a callback", 1, 1)
	publish(t, b, wav("a"))
	step("its duplicate", 1, 0)
	music := wav("a")
	music.Type = "music"
	publish(t, b, music)
	step("a callback of another type", 2, 1)
	video := wav("a")
	video.Type = "video"
	publish(t, b, video)
	step("a callback of a type that is not asked for", 2, 1)
	d := durable(t, b, "wav")
	delivery := next(t, d)
	step("a delivery", 2, 0)
	if err := delivery.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	step("its ack", 1, 1)
	merge(t, b.Results(), document(wav("a")))
	step("a result", 1, 1)
}

func TestActivityNeedsEverythingItAsksFor(t *testing.T) {
	t.Parallel()
	bare := natstest.Connect(t, natstest.Start(t, t.TempDir(), ""))
	if _, err := bare.Activity(t.Context(), nil); err == nil {
		t.Error("activity without streams")
	}
	b, _ := provisioned(t)
	if _, err := b.Activity(t.Context(), []callback.Type{"lyrics"}); err == nil {
		t.Error("activity without a durable")
	}
	if _, err := b.Activity(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
