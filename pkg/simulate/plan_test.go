package simulate

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
)

func TestEveryCallbackIsValid(t *testing.T) {
	t.Parallel()
	contracts := loadContracts(t)
	for seed := uint64(1); seed <= 20; seed++ {
		p := testPlan(seed, 200, Hostility{})
		for i := range p.ids {
			planned := writeTask(t, p, i)
			for _, s := range planned.sendings {
				for _, body := range s.bodies {
					checkDecodes(t, contracts, planned, s.call, body)
				}
			}
		}
	}
}

// checkDecodes decodes a body by its contract and compares it with what was
// planned.
func checkDecodes(t *testing.T, contracts callback.Contracts, planned task, call int, body []byte) {
	t.Helper()
	cb, err := contracts[planned.flavour.typ].Decode(body)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", planned.flavour.name, planned.id, err, body)
	}
	want := planned.calls[call]
	if cb.TaskID != planned.id || cb.Stage != want.stage || cb.Code != want.code {
		t.Fatalf("decoded as %s, want %s of task %s with code %d\n%s",
			cb.MessageID(), want.stage, planned.id, want.code, body)
	}
}

func TestTypesHaveContracts(t *testing.T) {
	t.Parallel()
	var played []callback.Type
	weight := 0
	for _, f := range flavours() {
		played = append(played, f.typ)
		weight += f.weight
	}
	slices.Sort(played)
	if played = slices.Compact(played); !slices.Equal(played, loadContracts(t).Types()) {
		t.Errorf("plays %v, want %v", played, loadContracts(t).Types())
	}
	if weight != 100 {
		t.Errorf("the weights make %d, want 100", weight)
	}
}

func TestPlanIsReproducible(t *testing.T) {
	t.Parallel()
	const tasks = 60
	one, other := testPlan(7, tasks, Hostility{}), testPlan(7, tasks, Hostility{})
	for i := range tasks {
		backwards := tasks - 1 - i
		_ = writeTask(t, other, backwards) // what was asked for before must not matter
		a, b := writeTask(t, one, i), writeTask(t, other, i)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("task %d differs:\n%+v\n%+v", i, a, b)
		}
		expected, err := a.expect()
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.expect()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(expected, again) {
			t.Fatalf("task %d expects %+v, then %+v", i, expected, again)
		}
	}
}

func TestPlanWithMoreTasksBeginsTheSame(t *testing.T) {
	t.Parallel()
	short, long := testPlan(3, 50, Hostility{}), testPlan(3, 200, Hostility{})
	for i := range short.ids {
		if a, b := writeTask(t, short, i), writeTask(t, long, i); !reflect.DeepEqual(a, b) {
			t.Fatalf("task %d differs", i)
		}
	}
}

func TestTaskIDsAreUnique(t *testing.T) {
	t.Parallel()
	known := make(map[callback.TaskID]uint64)
	for seed := uint64(1); seed <= 20; seed++ {
		for _, id := range testPlan(seed, 3000, Hostility{}).ids {
			if other, taken := known[id]; taken {
				t.Fatalf("task ID %s in the runs of seeds %d and %d", id, other, seed)
			}
			known[id] = seed
			if _, err := callback.ParseTaskID(string(id)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAtMostOneSuccessAndOneFailure(t *testing.T) {
	t.Parallel()
	p := testPlan(5, 2000, Hostility{})
	for i := range p.ids {
		o := p.outline(i)
		seen := make(map[callback.Stage]int)
		for _, c := range o.calls {
			seen[c.stage]++
		}
		for stage, n := range seen {
			if n > 1 {
				t.Fatalf("task %s has %s %d times", o.id, stage, n)
			}
		}
		if seen[callback.Complete]+seen[callback.Error] == 0 {
			t.Fatalf("task %s never ends", o.id)
		}
		if final := o.final(); seen[callback.Complete] > 0 && final.stage != callback.Complete {
			t.Fatalf("task %s ends as %s although it succeeds", o.id, final.stage)
		}
		sent := make(map[int]bool)
		for _, s := range o.steps {
			sent[s.call] = true
		}
		if len(sent) != len(o.calls) {
			t.Fatalf("task %s sends %d of %d callbacks", o.id, len(sent), len(o.calls))
		}
	}
}

func TestCopiesHaveTheSameValue(t *testing.T) {
	t.Parallel()
	p := testPlan(11, 400, Hostility{})
	rewritten := 0
	for i := range p.ids {
		first := make(map[int][]byte)
		planned := writeTask(t, p, i)
		for _, s := range planned.sendings {
			for at, body := range s.bodies {
				original, sent := first[s.call]
				switch {
				case !sent:
					first[s.call] = body
				case s.copies[at]:
					rewritten++
					if bytes.Equal(original, body) {
						t.Fatalf("task %s: a rewritten copy has the original's bytes:\n%s", planned.id, body)
					}
					if !reflect.DeepEqual(parse(t, original), parse(t, body)) {
						t.Fatalf("task %s: a copy has another value:\n%s\n%s", planned.id, original, body)
					}
				case !bytes.Equal(original, body):
					t.Fatalf("task %s: a copy differs:\n%s\n%s", planned.id, original, body)
				}
			}
		}
	}
	if rewritten == 0 {
		t.Error("no callback was written differently")
	}
}

func parse(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestCallbacksAreCounted(t *testing.T) {
	t.Parallel()
	p := testPlan(2, 100, Hostility{})
	var want int64
	for i := range p.ids {
		distinct := make(map[int]bool)
		for _, s := range writeTask(t, p, i).sendings {
			distinct[s.call] = true
		}
		want += int64(len(distinct))
	}
	if got := p.callbacks(); got != want {
		t.Errorf("counted %d callbacks, want %d", got, want)
	}
}
