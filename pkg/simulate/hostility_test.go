package simulate

import (
	"slices"
	"testing"

	"fanfare/pkg/callback"
)

// hostile counts, by name of the switch, the tasks that show a hostility.
func hostile(t *testing.T, h Hostility) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	p := testPlan(4, 300, h)
	for i := range p.ids {
		planned := writeTask(t, p, i)
		for name, shown := range map[string]bool{
			"NoDuplicates": requests(planned) > len(planned.calls),
			"NoReordering": outOfOrder(planned, false),
			"NoLate":       outOfOrder(planned, true),
			"NoFailures":   has(planned, callback.Error),
			"NoRecoveries": has(planned, callback.Error) && has(planned, callback.Complete),
			"NoSpellings":  misspelled(t, planned),
			"NoExtras":     extended(t, planned),
		} {
			if shown {
				counts[name]++
			}
		}
	}
	return counts
}

func requests(planned task) (n int) {
	for _, s := range planned.sendings {
		n += len(s.bodies)
	}
	return n
}

func has(planned task, stage callback.Stage) bool {
	return slices.ContainsFunc(planned.calls, func(c call) bool { return c.stage == stage })
}

// outOfOrder reports whether a call comes for the first time after one that
// should follow it: long after it, or not.
func outOfOrder(planned task, late bool) bool {
	last, sent := 0, make(map[int]bool)
	for _, s := range planned.sendings {
		if s.call < last && !sent[s.call] && (s.after >= lateGapMin) == late {
			return true
		}
		last, sent[s.call] = max(last, s.call), true
	}
	return false
}

func misspelled(t *testing.T, planned task) bool {
	t.Helper()
	other := "taskId"
	if planned.flavour.typ == cover {
		other = "task_id"
	}
	return anyBody(t, planned, func(v map[string]any) bool { _, there := data(v)[other]; return there })
}

func extended(t *testing.T, planned task) bool {
	t.Helper()
	return anyBody(t, planned, func(v map[string]any) bool { return len(v) > 3 })
}

func anyBody(t *testing.T, planned task, in func(map[string]any) bool) bool {
	t.Helper()
	for _, s := range planned.sendings {
		for _, body := range s.bodies {
			if in(parse(t, body)) {
				return true
			}
		}
	}
	return false
}

func TestSwitchesRemoveTheirHostility(t *testing.T) {
	t.Parallel()
	switches := map[string]struct {
		off     Hostility
		implied []string // hostilities that cannot be without it
	}{
		"NoDuplicates": {off: Hostility{NoDuplicates: true}},
		"NoReordering": {off: Hostility{NoReordering: true}},
		"NoLate":       {off: Hostility{NoLate: true}},
		"NoFailures":   {off: Hostility{NoFailures: true}, implied: []string{"NoRecoveries"}},
		"NoRecoveries": {off: Hostility{NoRecoveries: true}},
		"NoSpellings":  {off: Hostility{NoSpellings: true}},
		"NoExtras":     {off: Hostility{NoExtras: true}},
	}
	on := hostile(t, Hostility{})
	for name, s := range switches {
		if on[name] < 10 {
			t.Errorf("without %s only %d of 300 tasks show it", name, on[name])
		}
		off := hostile(t, s.off)
		for other := range switches {
			gone := other == name || slices.Contains(s.implied, other)
			if gone != (off[other] == 0) {
				t.Errorf("with %s, %s is shown by %d tasks", name, other, off[other])
			}
		}
	}
}

func TestNothingHostileIsPeaceful(t *testing.T) {
	t.Parallel()
	counts := hostile(t, Hostility{
		NoDuplicates: true, NoReordering: true, NoLate: true, NoFailures: true, NoRecoveries: true, NoSpellings: true, NoExtras: true,
	})
	if len(counts) > 0 {
		t.Errorf("still hostile: %v", counts)
	}
}
