package subscribe_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/result"
	"fanfare/pkg/subscribe"
)

// onResultSeen is a handler that notes the tasks of results, and their states.
func onResultSeen(s *seen[string]) onResult {
	return func(_ context.Context, doc result.Document) error {
		s.add(fmt.Sprintf("%s %d", doc.TaskID, stateOf(doc)))
		return nil
	}
}

func TestResultIsTheDocument(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	came := make(chan result.Document, 2)
	results(t, subscribe.Options{Broker: b}, "wav", func(_ context.Context, doc result.Document) error {
		came <- doc
		return nil
	})
	cb := callback.Callback{Type: "wav", TaskID: "a*b", Stage: callback.Complete, Code: 200, Message: "done", Received: time.Now().UTC()}
	want := result.New(cb, []result.Media{{Name: "audio.wav", SourceURL: "https://media.example/a.wav"}})
	if _, err := b.Results().Merge(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got := <-came
	if got.TaskID != "a*b" || got.Outcome != result.Succeeded || got.Archive != result.Pending || !slices.Equal(got.Media, want.Media) || !got.Times.Received.Equal(cb.Received) {
		t.Errorf("%+v came, %+v was written", got, want)
	}
	want.Media[0].SHA256 = strings.Repeat("0", 64)
	want.Settle(time.Now())
	if _, err := b.Results().Merge(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got := <-came; got.Archive != result.Archived {
		t.Errorf("%+v came, %+v was written", got, want)
	}
}

// ascending checks that each task's states came in order, and all of them; a state
// may come again before the next.
func ascending(tb testing.TB, all []string, tasks, states int) {
	tb.Helper()
	last := make(map[string]int)
	for _, line := range all {
		var task string
		var n int
		if _, err := fmt.Sscanf(line, "%s %d", &task, &n); err != nil {
			tb.Fatal(err)
		}
		if n != last[task] && n != last[task]+1 {
			tb.Errorf("state %d of %s came after state %d", n, task, last[task])
		}
		last[task] = n
	}
	if len(last) != tasks {
		tb.Errorf("%d tasks, want %d", len(last), tasks)
	}
	for task, n := range last {
		if n != states {
			tb.Errorf("the last state of %s is %d", task, n)
		}
	}
}

func TestStatesOfATaskComeInOrder(t *testing.T) {
	t.Parallel()
	const many, states = 20, 8
	b, js := provisioned(t)
	var got seen[string]
	var failures sync.Map
	for range 2 { // copies, of which one may be slow while the other is not
		results(t, subscribe.Options{Broker: b}, "wav", func(ctx context.Context, doc result.Document) error {
			_ = onResultSeen(&got)(ctx, doc)
			if _, again := failures.LoadOrStore(fmt.Sprint(doc.TaskID, stateOf(doc)), true); !again && doc.TaskID == "task-3" && stateOf(doc)%4 == 1 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	for n := 1; n <= states; n++ {
		for i := range many {
			state(t, b, "wav", callback.TaskID(fmt.Sprintf("task-%d", i)), n)
		}
	}
	eventually.Await(t, "everything seen", func() bool { return got.different() == many*states })
	settled(t, js, "KV_RESULTS", "billing_wav")
	ascending(t, got.get(), many, states)
	if n := len(got.get()); n != many*states+2 {
		t.Errorf("%d seen, want two failures' more than %d", n, many*states)
	}
}

func TestOrderOutlivesARestart(t *testing.T) {
	t.Parallel()
	const states = 6
	b, js := provisioned(t)
	var got seen[string]
	for n := 1; n <= states; n++ {
		state(t, b, "wav", "task", n)
	}
	begun := make(chan struct{})
	s := results(t, subscribe.Options{Broker: b, Drain: time.Millisecond}, "wav", func(ctx context.Context, doc result.Document) error {
		if stateOf(doc) < 3 {
			return onResultSeen(&got)(ctx, doc)
		}
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	<-begun
	s.stop()
	results(t, subscribe.Options{Broker: b}, "wav", onResultSeen(&got))
	eventually.Await(t, "everything seen", func() bool { return got.different() == states })
	settled(t, js, "KV_RESULTS", "billing_wav")
	ascending(t, got.get(), 1, states)
	got.onceEach(t, states)
}

func TestCopiesShareResults(t *testing.T) {
	t.Parallel()
	const n = 100
	b, js := provisioned(t)
	var all seen[string]
	var each [2]seen[string]
	for i := range each {
		results(t, subscribe.Options{Broker: b}, "wav", func(ctx context.Context, doc result.Document) error {
			_ = onResultSeen(&each[i])(ctx, doc)
			return onResultSeen(&all)(ctx, doc)
		})
	}
	waiting(t, js, "KV_RESULTS", "billing_wav", 2)
	for i := range n {
		state(t, b, "wav", callback.TaskID(fmt.Sprintf("task-%d", i)), 1)
	}
	eventually.Await(t, "everything seen", func() bool { return all.different() == n })
	all.onceEach(t, n)
	for i := range each {
		if each[i].different() == 0 {
			t.Errorf("copy %d got nothing", i)
		}
	}
}

func TestServicesEachSeeEveryResultOfTheirType(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	var billing, mail seen[string]
	results(t, subscribe.Options{Broker: b, Name: "billing"}, "wav", onResultSeen(&billing))
	results(t, subscribe.Options{Broker: b, Name: "mail"}, "wav", onResultSeen(&mail))
	state(t, b, "music", "a", 1)
	state(t, b, "wav", "a", 1)
	state(t, b, "wav", "b", 1)
	eventually.Await(t, "both have seen everything", func() bool { return billing.different() == 2 && mail.different() == 2 })
	settled(t, js, "KV_RESULTS", "billing_wav")
	settled(t, js, "KV_RESULTS", "mail_wav")
	billing.onceEach(t, 2)
	mail.onceEach(t, 2)
}

func TestResultThatFailsHoldsUpThoseBehindIt(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	var got seen[string]
	results(t, subscribe.Options{Broker: b}, "wav", func(ctx context.Context, doc result.Document) error {
		_ = onResultSeen(&got)(ctx, doc)
		if len(got.get()) < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	state(t, b, "wav", "a", 1)
	state(t, b, "wav", "b", 1)
	eventually.Await(t, "everything seen", func() bool { return got.different() == 2 })
	if want := []string{"a 1", "a 1", "a 1", "b 1"}; !slices.Equal(got.get(), want) {
		t.Errorf("seen: %v, want %v", got.get(), want)
	}
}

// The bucket keeps the last 8 states of a task: one that is dropped before it was
// handled holds up nobody.
func TestStatesThatAreDroppedAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	const states = 12
	b, js := provisioned(t)
	var got seen[string]
	first, written := make(chan struct{}, 1), make(chan struct{})
	results(t, subscribe.Options{Broker: b}, "wav", func(ctx context.Context, doc result.Document) error {
		select {
		case <-written:
			return onResultSeen(&got)(ctx, doc)
		default:
			first <- struct{}{}
			<-written
			return errors.New("not yet")
		}
	})
	state(t, b, "wav", "a", 1)
	<-first
	for n := 2; n <= states; n++ {
		state(t, b, "wav", "a", n)
	}
	close(written)
	eventually.Await(t, "the last state seen", func() bool { return got.count(fmt.Sprintf("a %d", states)) == 1 })
	settled(t, js, "KV_RESULTS", "billing_wav")
	if want := []string{"a 5", "a 6", "a 7", "a 8", "a 9", "a 10", "a 11", "a 12"}; !slices.Equal(got.get(), want) {
		t.Errorf("seen: %v, want %v", got.get(), want)
	}
}

func TestWhatIsNoResultIsEndedUnseen(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	log, text := logger()
	put := func(key, value string) {
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "$KV.RESULTS." + key, Data: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	state(t, b, "wav", "a", 1)
	put("wav.x", "")
	put("wav.x", "{")
	put("wav.x", "{}")
	put("wav.x", `{"type":"wav","task_id":"y"}`)
	put("wav.x.y", `{"type":"wav","task_id":"x.y"}`)
	put("wav.x", `{"type":"music","task_id":"x"}`)
	state(t, b, "wav", "b", 1)
	var got seen[string]
	results(t, subscribe.Options{Broker: b, Logger: log}, "wav", onResultSeen(&got))
	eventually.Await(t, "the results seen", func() bool { return got.different() == 2 })
	settled(t, js, "KV_RESULTS", "billing_wav")
	got.onceEach(t, 2)
	// The server knows of an end before the log does.
	eventually.Await(t, "six ends logged", func() bool { return strings.Count(text.String(), `"verdict":"term"`) == 6 })
	if !strings.Contains(text.String(), `"message_id":"wav.x.y"`) {
		t.Errorf("logged:\n%s", text)
	}
}

func TestDeletedResultSaysNothing(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	log, text := logger()
	bucket, err := js.KeyValue(t.Context(), "RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	state(t, b, "wav", "a", 1)
	state(t, b, "wav", "b", 1)
	if err := bucket.Delete(t.Context(), "wav.a"); err != nil {
		t.Fatal(err)
	}
	purged := nats.NewMsg("$KV.RESULTS.wav.b")
	purged.Header.Set("KV-Operation", "PURGE")
	if _, err := js.PublishMsg(t.Context(), purged); err != nil {
		t.Fatal(err)
	}
	state(t, b, "wav", "c", 1)
	var got seen[string]
	results(t, subscribe.Options{Broker: b, Logger: log}, "wav", onResultSeen(&got))
	eventually.Await(t, "the last seen", func() bool { return got.count("c 1") == 1 })
	settled(t, js, "KV_RESULTS", "billing_wav")
	if want := []string{"a 1", "b 1", "c 1"}; !slices.Equal(got.get(), want) {
		t.Errorf("seen: %v, want %v", got.get(), want)
	}
	if strings.Contains(text.String(), "error") {
		t.Errorf("logged:\n%s", text)
	}
}

// What a newer fanfare wrote waits until this service is upgraded.
func TestResultOfANewerFormatIsNotEnded(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	if _, err := js.Publish(t.Context(), "$KV.RESULTS.wav.t", []byte(`{"version":2}`)); err != nil {
		t.Fatal(err)
	}
	log, said := logger()
	results(t, subscribe.Options{Broker: b, Logger: log}, "wav", func(context.Context, result.Document) error {
		t.Error("it was shown")
		return nil
	})
	eventually.Await(t, "it is put off", func() bool {
		return strings.Contains(said.String(), `"verdict":"retry"`) && strings.Contains(said.String(), "newer than this fanfare knows")
	})
	if floor := info(t, js, "KV_RESULTS", "billing_wav").AckFloor.Stream; floor != 0 {
		t.Errorf("the service is done with %d", floor)
	}
}
