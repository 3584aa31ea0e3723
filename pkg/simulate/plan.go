package simulate

import (
	"fmt"

	"fanfare/pkg/callback"
)

// The types that the simulator knows how to play.
const (
	music callback.Type = "music"
	video callback.Type = "video"
	wav   callback.Type = "wav"
	cover callback.Type = "cover"
)

// plan says everything that the simulated provider will send. It is a pure
// function of its fields, task by task: nothing depends on time or on the order
// in which tasks are asked for.
type plan struct {
	seed      uint64
	mediaURL  string // what the media's URLs begin with, without a final slash
	hostility Hostility
	missed    Missed
	spared    map[string]bool // media faults that are left out, by name
	ids       []callback.TaskID
}

func newPlan(seed uint64, tasks int, mediaURL string, hostility Hostility) *plan {
	p := &plan{seed: seed, mediaURL: mediaURL, hostility: hostility, spared: make(map[string]bool)}
	for _, name := range hostility.NoMediaFaults {
		p.spared[name] = true
	}
	p.ids = make([]callback.TaskID, 0, tasks)
	known := make(map[callback.TaskID]bool, tasks)
	for i := range tasks {
		g := newGenerator(seed, fmt.Sprintf("id/%d", i))
		id := drawTaskID(g)
		for known[id] {
			id = drawTaskID(g)
		}
		known[id] = true
		p.ids = append(p.ids, id)
	}
	return p
}

// drawTaskID draws an identifier: nearly always 32 hexadecimal digits as in
// captured callbacks, now and then one of the spellings of the provider's pages.
func drawTaskID(g generator) callback.TaskID {
	switch n := g.IntN(100); {
	case n < 4:
		return callback.TaskID("taskId_" + g.hex(12))
	case n < 8:
		return callback.TaskID("task_id_" + g.hex(12))
	case n < 13:
		return callback.TaskID(g.hex(8) + "****" + g.hex(8))
	default:
		return callback.TaskID(g.hex(32))
	}
}

// callbacks counts the distinct callbacks of all tasks that are sent.
func (p *plan) callbacks() int64 {
	var n int64
	for i := range p.ids {
		sent := make(map[int]bool)
		for _, s := range p.outline(i).steps {
			if len(s.copies) > 0 {
				sent[s.call] = true
			}
		}
		n += int64(len(sent))
	}
	return n
}

// task is one task with all that will be sent and served for it.
type task struct {
	outline
	sendings []sending // parallel to the outline's steps
	assets   []asset
	tracks   []track // of music
	urls     []string
	record   *record // what the provider keeps of it; nil: nothing
}

// sending is one step of a task's life, written out.
type sending struct {
	step
	bodies [][]byte // sent at the same instant
}

// task writes out the task with that index.
func (p *plan) task(index int) (task, error) {
	o := p.outline(index)
	g := newGenerator(p.seed, fmt.Sprintf("bodies/%d", index))
	c := composer{generator: g, plan: p, outline: o}
	c.draw()
	p.drawTroubles(index, c.assets)
	values := make([]object, len(o.calls))
	for i, call := range o.calls {
		values[i] = c.body(call)
	}
	own := drawLayout(g)
	t := task{outline: o, assets: c.assets, tracks: c.tracks, urls: c.urls}
	for _, s := range o.steps {
		bodies := make([][]byte, 0, len(s.copies))
		for _, rewritten := range s.copies {
			l := own
			if rewritten {
				l = drawOther(g, own)
			}
			body, err := l.write(g, values[s.call])
			if err != nil {
				return task{}, fmt.Errorf("plan task %s: %w", o.id, err)
			}
			bodies = append(bodies, body)
		}
		t.sendings = append(t.sendings, sending{step: s, bodies: bodies})
	}
	return t, nil
}

// drawLayout draws how the provider writes the bodies of one task.
func drawLayout(g generator) layout {
	return layout{order: pick(g, alphabetical, alphabetical, pageOrder), indent: pick(g, "", "", "", "", "  ")}
}

// drawOther draws a layout that writes the same value in other bytes.
func drawOther(g generator, own layout) layout {
	other := layout{order: shuffled, indent: "\t", escape: g.chance(50)}
	if own.indent != "" && g.chance(50) {
		other.indent = ""
	}
	return other
}
