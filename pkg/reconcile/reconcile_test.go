package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/reconcile"
	"fanfare/pkg/result"
)

func TestWhatDidNotComeIsAskedFor(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d := newDetails(t)
	start(t, b, d)
	announce(t, b, ledger.Announcement{TaskID: "t"})
	becomes(t, b, "t", ledger.Overdue)
	d.answer("t", success)
	becomes(t, b, "t", ledger.Resolved)
	all := stored(t, b, "t")
	if len(all) != 1 {
		t.Fatalf("%d callbacks", len(all))
	}
	m := all[0]
	if m.Subject != "callbacks.wav.complete" || m.Header["ce-source"] != "/polls/wav" || m.Header["ce-id"] != "wav/t/complete/200" {
		t.Errorf("%s: %v", m.Subject, m.Header)
	}
	if cb, err := contracts(t)["wav"].Decode(m.Body); err != nil || cb.MessageID() != m.Header["ce-id"] {
		t.Errorf("%s: %v", m.Body, err)
	}
	if push(t, b, "wav", pushed("t")) != broker.Duplicate { // too late, and of another text
		t.Error("the callback that came late is no duplicate")
	}
	if polls := d.polls("t"); polls != state(t, b, "wav", "t").Polls {
		t.Errorf("%d polls, %+v", polls, state(t, b, "wav", "t"))
	}
}

func TestFailureIsFoundToo(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d := newDetails(t)
	d.answer("t", failed)
	start(t, b, d)
	announce(t, b, ledger.Announcement{TaskID: "t"})
	becomes(t, b, "t", ledger.Resolved)
	if all := stored(t, b, "t"); len(all) != 1 || all[0].Header["ce-id"] != "wav/t/error/501" {
		t.Errorf("%v", all)
	}
}

func TestWhatCallsBackInTimeIsNotAskedFor(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d := newDetails(t)
	start(t, b, d, func(o *reconcile.Options) { o.After = never })
	announce(t, b, ledger.Announcement{TaskID: "t"})
	becomes(t, b, "t", ledger.Expected)
	push(t, b, "wav", pushed("t"))
	becomes(t, b, "t", ledger.Answered)
	if d.polls("t") != 0 {
		t.Errorf("%d polls", d.polls("t"))
	}
}

// A callback may be stored, and even recorded, before its task is announced.
func TestWhatIsAnnouncedTooLateIsNotAskedFor(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d := newDetails(t)
	cb := callback.Callback{Type: "wav", TaskID: "t", Stage: callback.Complete, Code: 200, Received: time.Now()}
	if _, err := b.Results().Merge(t.Context(), result.New(cb, nil)); err != nil {
		t.Fatal(err)
	}
	start(t, b, d)
	announce(t, b, ledger.Announcement{TaskID: "t"})
	becomes(t, b, "t", ledger.Answered)
	if d.polls("t") != 0 {
		t.Errorf("%d polls", d.polls("t"))
	}
}

func TestFirstCallbackEntersItsTask(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	start(t, b, newDetails(t), func(o *reconcile.Options) { o.After = never })
	push(t, b, "music", `{"code":200,"msg":"","data":{"task_id":"m","callbackType":"text","data":[]}}`)
	eventually.Await(t, "entered", func() bool { return state(t, b, "music", "m").State == ledger.Expected })
	push(t, b, "music", `{"code":501,"msg":"","data":{"task_id":"m","callbackType":"error","data":null}}`)
	eventually.Await(t, "answered", func() bool { return state(t, b, "music", "m").State == ledger.Answered })
	if _, found, err := b.Ledger().Get(t.Context(), "wav", "m"); found || err != nil {
		t.Errorf("of another type: %v, %v", found, err)
	}
}

func TestTaskOfWhichNothingCanBeLearnedIsGivenUp(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d := newDetails(t)
	start(t, b, d)
	announce(t, b, ledger.Announcement{TaskID: "t", Deadline: time.Now().Add(moment)})
	becomes(t, b, "t", ledger.GivenUp)
	doc, found, err := b.Results().Get(t.Context(), "wav", "t")
	if err != nil || !found || doc.Outcome != result.Failed || doc.Failure.Reason != result.NeverReported {
		t.Errorf("%+v, %v, %v", doc, found, err)
	}
	if d.polls("t") == 0 {
		t.Error("given up unasked")
	}
	push(t, b, "wav", pushed("t")) // after all
	becomes(t, b, "t", ledger.Resolved)
}

func TestTaskOfAnotherProviderIsLeftAlone(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d := newDetails(t)
	start(t, b, d)
	announce(t, b, ledger.Announcement{TaskID: "theirs", Provider: "api.example"})
	announce(t, b, ledger.Announcement{TaskID: "ours", Provider: strings.TrimPrefix(d.url, "http://")})
	becomes(t, b, "ours", ledger.Overdue)
	if _, found, err := b.Ledger().Get(t.Context(), "wav", "theirs"); found || err != nil || d.polls("theirs") > 0 {
		t.Errorf("found %v, %v, %d polls", found, err, d.polls("theirs"))
	}
}

func TestWhatIsNoAnnouncementEndsNothing(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	d := newDetails(t)
	start(t, b, d)
	for subject, body := range map[string]string{"tasks.wav": "{", "tasks.lyrics": `{"task_id":"t","submitted_at":"2026-03-01T12:00:00Z"}`, "tasks": "{}"} {
		_, _ = js.Publish(t.Context(), subject, []byte(body))
	}
	announce(t, b, ledger.Announcement{TaskID: "good"})
	becomes(t, b, "good", ledger.Overdue)
	eventually.Await(t, "the others have ended", func() bool {
		stream, err := js.Stream(t.Context(), "TASKS")
		if err != nil {
			t.Fatal(err)
		}
		for name := range stream.ConsumerNames(t.Context()).Name() {
			consumer, err := stream.Consumer(t.Context(), name)
			return err == nil && consumer.CachedInfo().NumPending == 0 && consumer.CachedInfo().NumAckPending == 1
		}
		return false
	})
}

// A provider that gives no usable answers is spared: one task is asked about now and
// then, until it gives one.
func TestProviderThatGivesNoAnswersIsSpared(t *testing.T) {
	t.Parallel()
	const tasks = 40
	b, _ := provisioned(t)
	d := newDetails(t)
	for i := range tasks {
		d.answer(fmt.Sprint("t", i), "500")
	}
	registry, _ := start(t, b, d)
	for i := range tasks {
		announce(t, b, ledger.Announcement{TaskID: callback.TaskID(fmt.Sprint("t", i))})
	}
	eventually.Await(t, "all are entered", func() bool {
		n := 0
		if err := testutil.GatherAndCompare(registry, strings.NewReader(""), "x"); err != nil {
			t.Fatal(err)
		}
		for i := range tasks {
			if state(t, b, "wav", callback.TaskID(fmt.Sprint("t", i))).State != "" {
				n++
			}
		}
		return n == tasks
	})
	<-time.After(moment)
	polls := 0
	for i := range tasks {
		polls += d.polls(fmt.Sprint("t", i))
	}
	if polls < 10 || polls > 10+8 { // those that workers had begun count too
		t.Errorf("%d polls", polls)
	}
}

// Two reconcilers, one of which is replaced time and again, ask about each task one at
// a time, at the rate of both together, and publish once.
func TestSeveralShareTheWork(t *testing.T) {
	t.Parallel()
	const (
		tasks = 60
		rate  = 50
	)
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	d := newDetails(t)
	limit := func(o *reconcile.Options) { o.Rate = rate }
	start(t, b, d, limit)
	begun := time.Now()
	for i := range tasks {
		announce(t, b, ledger.Announcement{TaskID: callback.TaskID(fmt.Sprint("t", i))})
		if i%10 == 5 {
			d.answer(fmt.Sprint("t", i), "429") // for a while
		}
	}
	for range 3 {
		_, stop := start(t, natstest.Connect(t, server), d, limit)
		<-time.After(moment)
		stop()
	}
	for i := range tasks {
		d.answer(fmt.Sprint("t", i), success)
	}
	for i := range tasks {
		becomes(t, b, callback.TaskID(fmt.Sprint("t", i)), ledger.Resolved)
	}
	took := time.Since(begun)
	polls := 0
	for i := range tasks {
		polls += d.polls(fmt.Sprint("t", i))
		if n := len(stored(t, b, fmt.Sprint("t", i))); n != 1 {
			t.Errorf("task %d: %d callbacks", i, n)
		}
	}
	if most := rate*took.Seconds() + rate/10; float64(polls) > most {
		t.Errorf("%d polls in %s", polls, took)
	}
	if len(d.twice) > 0 {
		t.Errorf("asked about by two at once: %v", d.twice)
	}
}

func TestLedgerIsCounted(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d := newDetails(t)
	registry, _ := start(t, b, d)
	announce(t, b, ledger.Announcement{TaskID: "overdue"})
	d.answer("resolved", success)
	announce(t, b, ledger.Announcement{TaskID: "resolved"})
	announce(t, b, ledger.Announcement{TaskID: "given-up", Deadline: time.Now().Add(moment)})
	becomes(t, b, "overdue", ledger.Overdue)
	becomes(t, b, "resolved", ledger.Resolved)
	becomes(t, b, "given-up", ledger.GivenUp)
	count := func(want string) func() bool {
		return func() bool {
			return testutil.GatherAndCompare(registry, strings.NewReader(want), "fanfare_tasks") == nil
		}
	}
	text := func(overdue, resolved, givenUp int) string {
		var all strings.Builder
		all.WriteString("# HELP fanfare_tasks Tasks in the ledger, by state (expected, answered, overdue, resolved, given_up).\n# TYPE fanfare_tasks gauge\n")
		for _, typ := range contracts(t).Types() {
			for _, s := range ledger.States() {
				n := 0
				if typ == "wav" {
					n = map[ledger.State]int{ledger.Overdue: overdue, ledger.Resolved: resolved, ledger.GivenUp: givenUp}[s]
				}
				fmt.Fprintf(&all, "fanfare_tasks{state=%q,type=%q} %d\n", s, typ, n)
			}
		}
		return all.String()
	}
	eventually.Await(t, "counted", count(text(1, 1, 1)))
	push(t, b, "wav", pushed("given-up"))
	eventually.Await(t, "counted on", count(text(1, 2, 0)))
	again, _ := start(t, b, d) // which counts what there is
	eventually.Await(t, "counted anew", func() bool {
		return testutil.GatherAndCompare(again, strings.NewReader(text(1, 2, 0)), "fanfare_tasks") == nil
	})
}

// Tasks whose turn is far off come again for it, not to look whether it has come.
func TestManyOverdueTasksQueue(t *testing.T) {
	t.Parallel()
	const (
		tasks = 16
		rate  = 4
	)
	b, js := provisioned(t)
	d := newDetails(t)
	begun := time.Now()
	start(t, b, d, func(o *reconcile.Options) { o.Rate, o.Every = rate, never })
	var last time.Time
	for i := range tasks {
		announce(t, b, ledger.Announcement{TaskID: callback.TaskID(fmt.Sprint("t", i))})
	}
	for i := range tasks {
		id := fmt.Sprint("t", i)
		eventually.Await(t, id+" is asked about", func() bool { return d.polls(id) == 1 })
		becomes(t, b, callback.TaskID(id), ledger.Overdue)
		if e := state(t, b, "wav", callback.TaskID(id)); !e.Turn.IsZero() || e.Polls != 1 {
			t.Errorf("%+v", e)
		}
		d.mu.Lock()
		if at := d.asked[id][0]; at.After(last) {
			last = at
		}
		d.mu.Unlock()
	}
	if least := (tasks - 1) * time.Second / rate; last.Sub(begun) < least {
		t.Errorf("all were asked about within %s, want at least %s", last.Sub(begun), least)
	}
	consumer, err := js.Consumer(t.Context(), "TASKS", "reconciler_"+callback.Escape(strings.TrimPrefix(d.url, "http://")))
	if err != nil {
		t.Fatal(err)
	}
	if n := consumer.CachedInfo().Delivered.Consumer; n > 4*tasks { // when announced, when due, at its turn
		t.Errorf("%d deliveries of %d tasks", n, tasks)
	}
}

// Deliveries that come again go before those that come for the first time: tasks that
// never end, and are due all the time, must not keep new ones out.
func TestTasksThatNeverEndKeepNobodyOut(t *testing.T) {
	t.Parallel()
	const tasks = 40
	b, _ := provisioned(t)
	d := newDetails(t)
	start(t, b, d, func(o *reconcile.Options) { o.Rate = 5 })
	for i := range tasks {
		announce(t, b, ledger.Announcement{TaskID: callback.TaskID(fmt.Sprint("t", i))})
	}
	for i := range tasks {
		id := callback.TaskID(fmt.Sprint("t", i))
		eventually.Await(t, string(id)+" is entered", func() bool { return state(t, b, "wav", id).State != "" })
	}
}
