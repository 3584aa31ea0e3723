package broker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/natsd/natstest"
)

func announcement(id callback.TaskID) ledger.Announcement {
	return ledger.Announcement{TaskID: id, SubmittedAt: time.Now()}
}

func TestTaskIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for i, want := range []bool{false, true} {
		if known, err := b.Announce(t.Context(), "wav", announcement("t")); err != nil || known != want {
			t.Errorf("%d: known %v, %v", i, known, err)
		}
	}
	for _, typ := range []callback.Type{"video", "music"} { // the same task ID, another task
		if known, err := b.Announce(t.Context(), typ, announcement("t")); err != nil || known {
			t.Errorf("%s: known %v, %v", typ, known, err)
		}
	}
	stream, err := js.Stream(t.Context(), "TASKS")
	if err != nil || stream.CachedInfo().State.Msgs != 3 {
		t.Errorf("%v, %+v", err, stream.CachedInfo().State)
	}
	d, _, err := b.AnnouncedTasks("api.kie.ai").Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := next(t, d)
	if a, err := ledger.ParseAnnouncement(got.Body, got.Stored); err != nil || a.TaskID != "t" || got.Type != "wav" {
		t.Errorf("%+v of type %s, %v", a, got.Type, err)
	}
}

func TestAnnouncementThatIsRefused(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	if _, err := b.Announce(t.Context(), "wav", ledger.Announcement{TaskID: "t"}); err == nil || errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("without a time: %v", err)
	}
	if _, err := b.Announce(t.Context(), "wav.>", announcement("t")); err == nil || errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("of no type: %v", err)
	}
	if _, err := natstest.Connect(t, natstest.Start(t, t.TempDir(), "")).Announce(within(t, moment), "wav", announcement("t")); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("without a stream: %v", err)
	}
}

func TestLedgerLosesNoChange(t *testing.T) {
	t.Parallel()
	const writers = 16
	l := natstest.Broker(t).Ledger()
	if _, found, err := l.Get(t.Context(), "wav", "t"); err != nil || found {
		t.Errorf("found %v, %v", found, err)
	}
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			_, err := l.Change(t.Context(), "wav", "t", func(e ledger.Entry, found bool) (ledger.Entry, bool) {
				if !found {
					e = ledger.New("wav", announcement("t"), time.Now(), time.Minute, time.Hour)
				}
				return e.Polled(time.Now(), "running", true, time.Minute)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if e, found, err := l.Get(t.Context(), "wav", "t"); err != nil || !found || e.Polls != writers {
		t.Errorf("%+v, %v, %v", e, found, err)
	}
}

func TestLedgerIsWatchedWithoutItsTurns(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	l := b.Ledger()
	enter := func(id callback.TaskID) {
		if _, err := l.Change(t.Context(), "wav", id, func(ledger.Entry, bool) (ledger.Entry, bool) {
			return ledger.New("wav", announcement(id), time.Now(), time.Minute, time.Hour), true
		}); err != nil {
			t.Error(err)
		}
	}
	enter("5c79****be8e")
	if _, err := l.Turn(t.Context(), "api.kie.ai", time.Second); err != nil {
		t.Fatal(err)
	}
	end := errors.New("enough")
	var shown []callback.TaskID
	err := l.Watch(t.Context(), func(e ledger.Entry) error {
		if shown = append(shown, e.TaskID); e.TaskID == "later" {
			return end
		}
		return nil
	}, func() {
		if len(shown) != 1 {
			t.Errorf("at first: %v", shown)
		}
		enter("later")
	})
	if !errors.Is(err, end) || len(shown) != 2 {
		t.Errorf("%v, %v", shown, err)
	}
}

// However many take turns, and through however many connections, one comes in each
// interval.
func TestTurnsComeOneInEachInterval(t *testing.T) {
	t.Parallel()
	const (
		every  = 50 * time.Millisecond
		takers = 4
		turns  = 5
	)
	server := natstest.Start(t, t.TempDir(), "")
	natstest.Provisioned(t, server)
	begun := time.Now()
	var mu sync.Mutex
	var all []time.Time
	var group sync.WaitGroup
	for range takers {
		l := natstest.Connect(t, server).Ledger()
		group.Go(func() {
			for range turns {
				at, err := l.Turn(t.Context(), "p", every)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				all = append(all, at)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	slices.SortFunc(all, time.Time.Compare)
	for i := range len(all) - 1 {
		if apart := all[i+1].Sub(all[i]); apart < every {
			t.Errorf("turns %d and %d are %s apart, want %s", i, i+1, apart, every)
		}
	}
	if all[0].Before(begun) || len(all) != takers*turns {
		t.Errorf("%d turns, the first at %s", len(all), all[0])
	}
}

func TestTurnsAreGivenForAnHour(t *testing.T) {
	t.Parallel()
	l := natstest.Broker(t).Ledger()
	for i, want := range []bool{true, true, true, false, false} {
		if at, err := l.Turn(t.Context(), "p", 25*time.Minute); err != nil || at.IsZero() == want {
			t.Errorf("turn %d at %s, %v", i, at, err)
		}
	}
	if at, err := l.Turn(t.Context(), "other", time.Minute); err != nil || time.Until(at) > 0 {
		t.Errorf("another's at %s, %v", at, err)
	}
}

func TestCallbackThatComesAgainIsNoted(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	first := wav("5c79****be8e")
	publish(t, b, first)
	for name, cb := range map[string]callback.Callback{"other": wav("other"), "again": first} {
		again := cb
		again.Received = first.Received.Add(time.Minute)
		published, err := b.Publish(t.Context(), again)
		if err != nil || (published == broker.Duplicate) != (name == "again") {
			t.Errorf("%s: %v, %v", name, published, err)
		}
	}
	polled := first
	polled.Polled = true
	if published, err := b.Publish(t.Context(), polled); err != nil || published != broker.Duplicate {
		t.Errorf("polled: %v, %v", published, err)
	}
	var all []broker.Again
	eventually.Await(t, "it is noted", func() bool {
		var err error
		all, err = b.Ledger().CameAgain(t.Context(), first.Type, first.TaskID)
		return err == nil && len(all) > 0 && all[0].Last.Equal(first.Received.Add(time.Minute))
	})
	if len(all) != 1 || all[0].MessageID != first.MessageID() {
		t.Errorf("%+v", all)
	}
	if all, err := b.Ledger().CameAgain(t.Context(), "wav", "other"); err != nil || len(all) != 0 {
		t.Errorf("of another: %+v, %v", all, err)
	}
}

// Who has seen enough ends the watch by its context, which ends the updates too.
func TestWatchThatIsEndedIsNoFailure(t *testing.T) {
	t.Parallel()
	l := natstest.Broker(t).Ledger()
	for range 20 {
		ctx, enough := context.WithCancel(t.Context())
		if err := l.Watch(ctx, func(ledger.Entry) error { return nil }, func() {
			enough()
			<-time.After(10 * time.Millisecond) // in which the updates end
		}); err != nil {
			t.Fatal(err)
		}
	}
}
