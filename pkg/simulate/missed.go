package simulate

import (
	"errors"
	"fmt"
	"time"

	"fanfare/pkg/callback"
)

// Missed says which callbacks do not come, or not in time, and how those fare who
// ask for them instead. The zero value is a provider that calls.
type Missed struct {
	Drop        float64 // share of the tasks whose final callback never comes; of some of them nothing comes at all
	Delay       float64 // share whose final callback comes only when the provider's last retry is long past
	Race        float64 // share whose final callback comes at the moment at which a poll finds it
	Unannounced float64 // share of the tasks with an earlier stage that nobody announces: that stage's callback tells of them
	PollErrors  float64 // share of the polls that are not answered as they should; each task's fault heals
	PollBudget  float64 // 10: polls that the receiver may make per second
}

// maxPollErrors bounds PollErrors: beyond that so many polls fail one after another
// that a careful poller leaves the provider alone for a while, time and again.
const maxPollErrors = 0.5

// calls reports whether every final callback comes by itself.
func (m Missed) calls() bool { return m.Drop+m.Delay+m.Race == 0 }

func (m Missed) validate() error {
	for name, share := range map[string]float64{
		"Drop": m.Drop, "Delay": m.Delay, "Race": m.Race, "Unannounced": m.Unannounced, "the sum of Drop, Delay and Race": m.Drop + m.Delay + m.Race,
	} {
		if !(share >= 0 && share <= 1) { // which NaN is not
			return fmt.Errorf("simulate: %s is %v, want a share of 0 to 1", name, share)
		}
	}
	switch {
	case !(m.PollErrors >= 0 && m.PollErrors <= maxPollErrors):
		return fmt.Errorf("simulate: PollErrors is %v, want a share of 0 to %v", m.PollErrors, maxPollErrors)
	case !positive(m.PollBudget):
		return errors.New("simulate: PollBudget is not positive")
	}
	return nil
}

// fate is what becomes of a task's final callback.
type fate int

const (
	called  fate = iota // it comes
	dropped             // it never comes
	delayed             // it comes when nobody expects it any more
	raced               // it comes when a poll finds it
)

// When a delayed callback comes, in the provider's time: after the last retry of one
// that came in time.
const delayMin, delayMax = 25 * time.Minute, 40 * time.Minute

// How many of 100 dropped tasks never call at all, and of 100 whose provider says at
// once that it could not call.
const (
	silentTasks   = 40
	exceptedTasks = 40
)

// drawFate draws what becomes of the final callback of the task with that index, and
// whether the task is announced.
func (p *plan) drawFate(index int, o *outline) {
	g := newGenerator(p.seed, fmt.Sprintf("fate/%d", index))
	n, silent, excepted, unannounced, wait := g.Float64(), g.chance(silentTasks), g.chance(exceptedTasks), g.Float64(), g.between(delayMin, delayMax)
	m := p.missed
	switch {
	case n < m.Drop:
		o.fate, o.excepted = dropped, excepted
	case n < m.Drop+m.Delay:
		o.fate = delayed
	case n < m.Drop+m.Delay+m.Race:
		o.fate = raced
	}
	if o.fate != called {
		o.withhold(silent && o.fate == dropped, wait)
	}
	o.unannounced = unannounced < m.Unannounced && o.tellsEarly()
}

// withhold leaves the final callbacks out, or puts the one that decides at the end.
// Their steps stay: it is then that the task comes so far. A failure from which the
// task recovers is left out too, for whoever hears of it stops to wait.
func (o *outline) withhold(silent bool, wait time.Duration) {
	decides := o.decides()
	var copies []bool
	for i := range o.steps {
		s := &o.steps[i]
		if s.call == decides && copies == nil {
			copies = s.copies
		}
		if silent || o.calls[s.call].stage.Final() {
			s.copies = nil
		}
	}
	if o.fate != dropped {
		o.steps = append(o.steps, step{call: decides, after: wait, copies: copies, raced: o.fate == raced})
	}
}

// tellsEarly reports whether a callback before the final one comes.
func (o *outline) tellsEarly() bool {
	for _, s := range o.steps {
		if stage := o.calls[s.call].stage; len(s.copies) > 0 && (stage == callback.Text || stage == callback.First) {
			return true
		}
	}
	return false
}

// fates counts the tasks of each fate.
func (p *plan) fates() (f Fates) {
	for i := range p.ids {
		o := p.outline(i)
		switch o.fate {
		case dropped:
			f.Dropped++
		case delayed:
			f.Delayed++
		case raced:
			f.Raced++
		case called:
		}
		if o.unannounced {
			f.Unannounced++
		}
	}
	return f
}
