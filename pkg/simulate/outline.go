package simulate

import (
	"fmt"
	"slices"
	"time"

	"fanfare/pkg/callback"
)

// The pauses of a task's life, in the provider's time.
const (
	stageGapMin, stageGapMax = 4 * time.Second, 16 * time.Second // from stage to stage
	againGapMin, againGapMax = time.Second, 10 * time.Second     // until a callback comes again
	lateGapMin, lateGapMax   = 40 * time.Second, 80 * time.Second
)

// flavour is a kind of request that a task can answer.
type flavour struct {
	typ      callback.Type
	name     string
	weight   int              // how many of 100 tasks are of it
	progress []callback.Stage // the stages before the final one
	tracks   int              // of music
	hurried  bool             // the provider waits 10 s for an answer, not 15
}

// flavours returns every flavour; their weights make 100.
func flavours() []flavour {
	staged := []callback.Stage{callback.Text, callback.First}
	return []flavour{
		{typ: music, name: "generate", weight: 16, progress: staged, tracks: 2},
		{typ: music, name: "extend", weight: 7, progress: staged, tracks: 2},
		{typ: music, name: "upload-cover", weight: 6, progress: staged, tracks: 2},
		{typ: music, name: "upload-extend", weight: 5, progress: staged, tracks: 2},
		{typ: music, name: "add-vocals", weight: 5, progress: staged, tracks: 2},
		{typ: music, name: "add-instrumental", weight: 4, tracks: 2},
		{typ: music, name: "replace-section", weight: 9, tracks: 1, hurried: true},
		{typ: video, name: "video", weight: 16},
		{typ: wav, name: "wav", weight: 18},
		{typ: cover, name: "cover", weight: 14},
	}
}

// outline is the shape of a task's life, without any body.
type outline struct {
	id      callback.TaskID
	flavour flavour
	calls   []call // the distinct callbacks, in the order of a peaceful life
	steps   []step // in the order of sending

	fate        fate
	excepted    bool // the provider says that it could not call as soon as the task is done
	unannounced bool
}

// call is one distinct callback of a task.
type call struct {
	stage callback.Stage
	code  int32
}

// step is one moment of a task's life.
type step struct {
	call   int           // index of the outline's call
	after  time.Duration // since the step before, in the provider's time
	copies []bool        // one for each request of this instant: written differently? none: the task gets there, and nobody is told
	raced  bool          // it begins before its time if a poll finds that the task is done
}

// final returns the call that decides the task: a success wherever there is one.
func (o outline) final() call { return o.calls[o.decides()] }

// decides returns the index of that call.
func (o outline) decides() int {
	at := slices.IndexFunc(o.calls, func(c call) bool { return c.stage == callback.Complete })
	if at < 0 {
		at = len(o.calls) - 1
	}
	return at
}

// outline draws the life of the task with that index.
func (p *plan) outline(index int) outline {
	g := newGenerator(p.seed, fmt.Sprintf("outline/%d", index))
	o := outline{id: p.ids[index], flavour: drawFlavour(g)}
	o.calls = p.drawCalls(g, o.flavour)
	o.steps = p.drawSteps(g, len(o.calls))
	p.drawFate(index, &o)
	return o
}

func drawFlavour(g generator) flavour {
	all := flavours()
	n := g.IntN(100)
	for _, f := range all {
		if n < f.weight {
			return f
		}
		n -= f.weight
	}
	return all[0]
}

// drawCalls draws which callbacks there are. There is never more than one
// success and one failure, so that the result does not depend on their order.
func (p *plan) drawCalls(g generator, f flavour) []call {
	fails := g.chance(30) && !p.hostility.NoFailures
	recovers := g.chance(35) && !p.hostility.NoRecoveries
	progress := f.progress
	if fails {
		progress = progress[:g.IntN(len(progress)+1)]
	}
	var calls []call
	for _, stage := range progress {
		calls = append(calls, call{stage, 200})
	}
	if fails {
		calls = append(calls, call{callback.Error, drawFailure(g)})
	}
	if !fails || recovers {
		calls = append(calls, call{callback.Complete, drawSuccess(g, f.typ)})
	}
	return calls
}

func drawSuccess(g generator, t callback.Type) int32 {
	if t == video && g.chance(35) {
		return 0
	}
	return 200
}

// drawFailure draws one of the documented codes or one of some that no page
// lists.
func drawFailure(g generator) int32 {
	if g.chance(15) {
		return pick[int32](g, 422, 455, 520, 599)
	}
	return pick[int32](g, 400, 408, 413, 451, 500, 501, 531)
}

// drawSteps draws when and how often each of the calls is made.
func (p *plan) drawSteps(g generator, calls int) []step {
	steps := make([]step, 0, calls+1)
	for i := range calls {
		steps = append(steps, step{call: i, after: g.between(stageGapMin, stageGapMax), copies: []bool{false}})
	}
	reordered, late, again := g.chance(35), g.chance(50), g.chance(45)
	switch {
	case calls < 2:
	case reordered && !p.hostility.NoReordering:
		steps = finalFirst(g, steps)
	case late && !p.hostility.NoLate:
		steps = oneLate(g, steps)
	}
	if again && !p.hostility.NoDuplicates {
		steps = oneAgain(g, steps)
	}
	steps[0].after = 0
	return steps
}

// finalFirst puts the last step before one that should lead to it.
func finalFirst(g generator, steps []step) []step {
	last := len(steps) - 1
	return slices.Insert(steps[:last], g.IntN(last), steps[last])
}

// oneLate puts a step long after the last one.
func oneLate(g generator, steps []step) []step {
	at := g.IntN(len(steps) - 1)
	late := steps[at]
	late.after = g.between(lateGapMin, lateGapMax)
	return append(slices.Delete(steps, at, at+1), late)
}

// oneAgain sends one step's callback again: at the same instant or soon after.
func oneAgain(g generator, steps []step) []step {
	at := g.IntN(len(steps))
	rewritten := g.chance(50)
	if g.chance(50) {
		for range 1 + g.IntN(3) {
			steps[at].copies = append(steps[at].copies, rewritten)
		}
		return steps
	}
	again := step{call: steps[at].call, after: g.between(againGapMin, againGapMax), copies: []bool{rewritten}}
	return slices.Insert(steps, at+1, again)
}
