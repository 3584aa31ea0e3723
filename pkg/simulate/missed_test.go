package simulate

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/callback"
)

func TestMissedIsValidated(t *testing.T) {
	t.Parallel()
	good := Missed{Drop: 0.3, Delay: 0.3, Race: 0.4, Unannounced: 1, PollErrors: 0.5, PollBudget: 1}
	if err := good.validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*Missed){
		"Drop":        func(m *Missed) { m.Drop = -0.1 },
		"Delay":       func(m *Missed) { m.Delay = math.NaN() },
		"sum":         func(m *Missed) { m.Race = 0.5 },
		"Unannounced": func(m *Missed) { m.Unannounced = 1.1 },
		"PollErrors":  func(m *Missed) { m.PollErrors = 0.6 },
		"PollBudget":  func(m *Missed) { m.PollBudget = 0 },
	} {
		m := good
		spoil(&m)
		if err := m.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that names %s, got %v", want, err)
		}
	}
}

// sentFinals counts a task's final callbacks that are sent, and when the last is.
func sentFinals(planned task) (n int, at time.Duration) {
	since := time.Duration(0)
	for _, s := range planned.sendings {
		since += s.after
		if planned.calls[s.call].stage.Final() && len(s.bodies) > 0 {
			n, at = n+1, since
		}
	}
	return n, at
}

func TestFates(t *testing.T) {
	t.Parallel()
	const tasks = 600
	all := missedPlan(6, tasks, Missed{})
	p := missedPlan(6, tasks, Missed{Drop: 0.3, Delay: 0.2, Race: 0.1, Unannounced: 0.2})
	silent := 0
	for i := range p.ids {
		before, now := writeTask(t, all, i), writeTask(t, p, i)
		if before.id != now.id || !reflect.DeepEqual(before.calls, now.calls) || !reflect.DeepEqual(before.assets, now.assets) {
			t.Fatalf("task %d is another one", i)
		}
		n, at := sentFinals(now)
		switch now.fate {
		case called:
			if !reflect.DeepEqual(before.sendings, now.sendings) {
				t.Fatalf("task %d sends something else although it calls", i)
			}
		case dropped:
			if n != 0 {
				t.Fatalf("dropped task %d sends %d final callbacks", i, n)
			}
			silent += int(one(!now.tellsEarly() && len(now.flavour.progress) > 0))
		case delayed, raced:
			if last := now.sendings[len(now.sendings)-1]; n != 1 || at < delayMin || last.raced != (now.fate == raced) {
				t.Fatalf("task %d of fate %d sends %d final callbacks, the last after %s", i, now.fate, n, at)
			}
		}
		if !slices.ContainsFunc(now.steps, func(s step) bool { return s.call == now.decides() }) {
			t.Fatalf("task %d never gets to its end", i)
		}
		if now.unannounced && !now.tellsEarly() {
			t.Fatalf("task %d is not announced, and nothing tells of it", i)
		}
	}
	f := p.fates()
	for name, share := range map[string][2]int{"dropped": {f.Dropped, 180}, "delayed": {f.Delayed, 120}, "raced": {f.Raced, 60}, "unannounced": {f.Unannounced, 40}} {
		if math.Abs(float64(share[0]-share[1])) > 36 {
			t.Errorf("%d tasks %s, want about %d", share[0], name, share[1])
		}
	}
	if silent == 0 || all.fates() != (Fates{}) {
		t.Errorf("%d silent tasks, and by default %+v", silent, all.fates())
	}
	if p.callbacks() >= all.callbacks() {
		t.Errorf("%d callbacks, of %d", p.callbacks(), all.callbacks())
	}
}

func TestRecordMovesForward(t *testing.T) {
	t.Parallel()
	planned := task{outline: outline{calls: []call{{callback.Text, 200}, {callback.First, 200}, {callback.Error, 501}, {callback.Complete, 200}}}}
	r := newRecord(planned)
	for _, c := range []struct{ reach, want int }{{1, 1}, {0, 1}, {2, 1}, {3, 3}, {2, 3}, {0, 3}} {
		if r.reach(c.reach); r.at != c.want {
			t.Errorf("after call %d it is at %d, want %d", c.reach, r.at, c.want)
		}
	}
	if r.giveUp(2); r.except {
		t.Error("it is excepted although nobody waits for that callback")
	}
	if r.giveUp(3); !r.except {
		t.Error("it is not excepted")
	}
	var none *record
	none.reach(0)
	none.giveUp(0)
}

func TestWindow(t *testing.T) {
	t.Parallel()
	w := window{length: time.Second, most: 2}
	begun := time.Now()
	for _, c := range []struct {
		at   int // ms
		over bool
	}{{0, false}, {100, false}, {200, true}, {1100, false}, {1150, true}, {3000, false}} {
		if over := w.add(begun.Add(time.Duration(c.at) * time.Millisecond)); over != c.over {
			t.Errorf("after %d ms: over is %t", c.at, over)
		}
	}
	if w.peak != 3 {
		t.Errorf("peak %d", w.peak)
	}
}

func TestReportTellsOfPolls(t *testing.T) {
	t.Parallel()
	var table bytes.Buffer
	if err := (Report{Twins: unread}).WriteTable(&table); err != nil || strings.Contains(table.String(), "polls") || !strings.Contains(table.String(), "stored twice    unreadable") {
		t.Errorf("%v\n%s", err, &table)
	}
	table.Reset()
	if err := (Report{Polls: Polls{All: 7, Told: 5}}).WriteTable(&table); err != nil || !strings.Contains(table.String(), "final answers   5\n") {
		t.Errorf("%v\n%s", err, &table)
	}
	for want, r := range map[error]Report{
		ErrDeviations: {Tasks: 1}, ErrTrapped: {Trapped: 1}, ErrTwins: {Twins: unread}, ErrExcess: {Polls: Polls{Excess: 1}},
		ErrAtOnce: {Polls: Polls{AtOnce: 1}}, ErrKeyless: {Polls: Polls{Keyless: 1}}, nil: {Polls: Polls{After: 1, Faults: 9}},
	} {
		if err := r.Err(); want == nil && err != nil || want != nil && (err == nil || err.Error() != want.Error()) {
			t.Errorf("%+v: %v, want %v", r, err, want)
		}
	}
}
