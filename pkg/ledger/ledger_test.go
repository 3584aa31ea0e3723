package ledger_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"fanfare/pkg/ledger"
	"fanfare/schemas"
)

func at(minute int) time.Time { return time.Date(2026, time.March, 1, 12, minute, 0, 0, time.UTC) }

func entry() ledger.Entry {
	return ledger.New("wav", ledger.Announcement{TaskID: "5c79****be8e", SubmittedAt: at(0)}, at(1), 2*time.Minute, 24*time.Hour)
}

// published compiles a published schema, with its formats asserted.
func published(tb testing.TB, name string) *jsonschema.Schema {
	tb.Helper()
	file, err := schemas.Files.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		tb.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("embed:///"+name, doc); err != nil {
		tb.Fatal(err)
	}
	schema, err := compiler.Compile("embed:///" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return schema
}

func valid(tb testing.TB, schema *jsonschema.Schema, body []byte) bool {
	tb.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	return err == nil && schema.Validate(value) == nil
}

// Each row is held against the published schema too: both must say the same, but
// for what a schema cannot say.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	schema := published(t, "task.json")
	const id = `"task_id":"5c79****be8e"`
	for _, row := range []struct {
		name, body     string
		ours, bySchema bool
	}{
		{"least", `{` + id + `,"submitted_at":"2026-03-01T12:00:00Z"}`, true, true},
		{"zone", `{` + id + `,"submitted_at":"2026-03-01T13:00:00.5+01:00"}`, true, true},
		{"whole", `{` + id + `,"submitted_at":"2026-03-01T12:00:00Z","provider":"api.kie.ai","deadline":"2026-03-01T14:00:00Z"}`, true, true},
		{"no task ID", `{"submitted_at":"2026-03-01T12:00:00Z"}`, false, false},
		{"bad task ID", `{"task_id":"a b","submitted_at":"2026-03-01T12:00:00Z"}`, false, false},
		{"no time", `{` + id + `}`, false, false},
		{"bad time", `{` + id + `,"submitted_at":"yesterday"}`, false, false},
		{"number for a time", `{` + id + `,"submitted_at":1}`, false, false},
		{"unknown member", `{` + id + `,"submitted_at":"2026-03-01T12:00:00Z","x":1}`, false, false},
		{"URL for a provider", `{` + id + `,"submitted_at":"2026-03-01T12:00:00Z","provider":"https://api.kie.ai"}`, false, false},
		{"not an object", `[]`, false, false},
		{"not JSON", `{`, false, false},
		{"future", `{` + id + `,"submitted_at":"2026-03-01T12:30:00Z"}`, false, true},
		{"long ago", `{` + id + `,"submitted_at":"2026-01-01T12:00:00Z"}`, false, true},
		{"deadline before", `{` + id + `,"submitted_at":"2026-03-01T12:00:00Z","deadline":"2026-03-01T11:00:00Z"}`, false, true},
		{"too long", `{` + id + `,"submitted_at":"2026-03-01T12:00:00Z"` + strings.Repeat(" ", 5000) + `}`, false, true},
	} {
		a, err := ledger.ParseAnnouncement([]byte(row.body), at(10))
		if (err == nil) != row.ours {
			t.Errorf("%s: %v", row.name, err)
		}
		if valid(t, schema, []byte(row.body)) != row.bySchema {
			t.Errorf("%s: the schema disagrees", row.name)
		}
		if err != nil {
			continue
		}
		body, err := a.Encode()
		if err != nil || !valid(t, schema, body) {
			t.Errorf("%s: encoded as %s, %v", row.name, body, err)
		}
	}
}

func TestEntriesMoveForwardOnly(t *testing.T) {
	t.Parallel()
	now := at(30)
	answer := func(e ledger.Entry) (ledger.Entry, bool) { return e.Answer(now) }
	resolve := func(e ledger.Entry) (ledger.Entry, bool) { return e.Resolve(now) }
	giveUp := func(e ledger.Entry) (ledger.Entry, bool) { return e.GiveUp(now) }
	poll := func(e ledger.Entry) (ledger.Entry, bool) { return e.Polled(now, "running", true, time.Minute) }
	schema := published(t, "task-state.json")
	for _, row := range []struct {
		from ledger.State
		step func(ledger.Entry) (ledger.Entry, bool)
		to   ledger.State // "": nothing changes
	}{
		{ledger.Expected, answer, ledger.Answered},
		{ledger.Expected, resolve, ledger.Resolved},
		{ledger.Expected, giveUp, ledger.GivenUp},
		{ledger.Expected, poll, ledger.Overdue},
		{ledger.Overdue, answer, ledger.Resolved},
		{ledger.Overdue, resolve, ledger.Resolved},
		{ledger.Overdue, giveUp, ledger.GivenUp},
		{ledger.Overdue, poll, ledger.Overdue},
		{ledger.Answered, answer, ""},
		{ledger.Answered, resolve, ""},
		{ledger.Answered, giveUp, ""},
		{ledger.Answered, poll, ""},
		{ledger.Resolved, answer, ""},
		{ledger.Resolved, resolve, ""},
		{ledger.Resolved, giveUp, ""},
		{ledger.Resolved, poll, ""},
		{ledger.GivenUp, answer, ledger.Resolved},
		{ledger.GivenUp, resolve, ledger.Resolved},
		{ledger.GivenUp, giveUp, ""},
		{ledger.GivenUp, poll, ""},
	} {
		before := entry()
		before.State = row.from
		if !row.from.Open() {
			before.NextPoll = time.Time{}
		}
		after, changed := row.step(before)
		if want := row.to; changed != (want != "") || changed && after.State != want {
			t.Errorf("from %s to %s, %v; want %q", row.from, after.State, changed, want)
		}
		if changed && row.from != after.State && after.Was != row.from {
			t.Errorf("from %s to %s: was %q", row.from, after.State, after.Was)
		}
		if after.State.Open() == after.NextPoll.IsZero() {
			t.Errorf("%s: next poll at %s", after.State, after.NextPoll)
		}
		body, err := after.Encode()
		if err != nil || !valid(t, schema, body) {
			t.Errorf("%s: encoded as %s, %v", after.State, body, err)
		}
		if again, err := ledger.Decode(body); err != nil || again.State != after.State || !slices.Equal(again.Events, after.Events) {
			t.Errorf("%s: decoded as %+v, %v", body, again, err)
		}
	}
}

func TestFirstPollComesAfterTheWaitAndNoLaterThanTheDeadline(t *testing.T) {
	t.Parallel()
	if e := entry(); e.NextPoll != at(2) || e.Deadline != at(24*60) {
		t.Errorf("%+v", e)
	}
	a := ledger.Announcement{TaskID: "t", SubmittedAt: at(0), Deadline: at(1)}
	if e := ledger.New("wav", a, at(0), 2*time.Minute, time.Hour); e.NextPoll != at(1) || e.Deadline != at(1) {
		t.Errorf("%+v", e)
	}
}

func TestFailuresCountPollsInARow(t *testing.T) {
	t.Parallel()
	e := entry()
	for i, usable := range []bool{false, false, true, false} {
		e, _ = e.Polled(at(3+i), "x", usable, time.Minute)
	}
	if e.Polls != 4 || e.Failures != 1 || e.NextPoll != at(7) {
		t.Errorf("%+v", e)
	}
}

func TestEventsAreTheFirstAndTheLatest(t *testing.T) {
	t.Parallel()
	e := entry()
	for i := range 100 {
		e, _ = e.Polled(at(i), "running", true, time.Minute)
	}
	if len(e.Events) != 32 || e.Events[0].What != "expected" || e.Events[31].At != at(99) || e.Events[1].At != at(69) {
		t.Errorf("%d events: %+v", len(e.Events), e.Events)
	}
}
