package simulate

import (
	"sync"
	"time"

	"fanfare/pkg/callback"
)

// maxTaskPolls is how many polls of one task a second may bring (the provider's page
// on details of music).
const maxTaskPolls = 3

// standing is how far a task has come, as its details tell.
type standing struct {
	call     call // the last that was reached
	begun    bool // there is one
	excepted bool // the provider could not call
}

// final reports whether the task is done.
func (s standing) final() bool { return s.begun && s.call.stage.Final() }

// record is what the provider keeps of a task, and who asked for it. A nil record
// keeps nothing.
type record struct {
	task  task
	found chan struct{} // closed once a poll was told that the task is done

	mu     sync.Mutex
	at     int // index of the call that was reached; -1: none
	except bool
	polls  int
	faults int
	asking int
	recent window
	told   bool
}

func newRecord(t task) *record {
	return &record{task: t, found: make(chan struct{}), at: -1, recent: window{length: time.Second, most: maxTaskPolls}}
}

// reach notes that the task has come as far as one of its calls. It never goes back,
// and a failure is not told of that the task recovers from: it would be taken for the
// end.
func (r *record) reach(call int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	decides := r.task.decides()
	if r.at == decides || r.task.calls[call].stage == callback.Error && call != decides {
		return
	}
	if call == decides || call > r.at {
		r.at = call
	}
	if call == decides && r.task.excepted {
		r.except = true
	}
}

// giveUp notes that the provider could not call with one of the calls.
func (r *record) giveUp(call int) {
	if r == nil || call != r.task.decides() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.except = true
}

// visit is one poll of a task.
type visit struct {
	standing

	number int  // from 1
	twin   bool // another one was under way
	hasty  bool // it came too soon after others
	after  bool // after one that was told that the task is done
}

// enter begins a poll; leave ends it.
func (r *record) enter(now time.Time) visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polls++
	r.asking++
	v := visit{number: r.polls, twin: r.asking > 1, hasty: r.recent.add(now), after: r.told}
	if v.excepted = r.except; r.at >= 0 {
		v.call, v.begun = r.task.calls[r.at], true
	}
	return v
}

func (r *record) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asking--
}

// spoil reports whether a fault may be served, and counts it: a task has a few.
func (r *record) spoil() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.faults >= maxTaskFaults {
		return false
	}
	r.faults++
	return true
}

// tell notes that a poll was told that the task is done. It is true for the first.
func (r *record) tell() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.told
	if r.told = true; first {
		close(r.found)
	}
	return first
}
