package simulate

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// Results is where a Simulator reads what became of its tasks. Errors of either
// method are taken for passing ones.
type Results interface {
	// Result returns the recorded document; found is false when there is none.
	Result(ctx context.Context, t callback.Type, id callback.TaskID) (doc result.Document, found bool, err error)
	// Activity says whether anything is still under way.
	Activity(ctx context.Context) (Activity, error)
	// DeadLetters calls show for each dead letter that is kept, whosever it is.
	DeadLetters(ctx context.Context, show func(DeadLetter)) error
}

// Activity is what goes on behind the receiver.
type Activity struct {
	Unsettled uint64 // messages that some durable has not settled
	Moves     uint64 // changes whenever a callback is stored, a delivery settled or a result written
}

// readTimeout bounds one read of a result or of the activity.
const readTimeout = 10 * time.Second

// calmPolls is how long a run with polls goes on once all is as expected, to see
// whether somebody asks on.
const calmPolls = 5 * time.Second

// maxReadErrors is how many results in a row may be unreadable before a pass
// over them is broken off.
const maxReadErrors = 3

// state is what a task's result was when it was last read.
type state int

const (
	unjudged state = iota // the run was cut short before
	missing
	wrong
	asExpected
)

// finding is one task's expectation and how far it is met.
type finding struct {
	want   expectation
	state  state
	reason string
}

// judge reads results until they are as expected or nothing moves any more. The
// dead letters are read once the results are as expected, since it is then that
// they are complete.
type judge struct {
	logger   *slog.Logger
	results  Results
	settle   time.Duration // how long nothing may move
	quiet    time.Duration // how long nothing may move once every result is as expected
	calm     time.Duration // how long nothing may move, not even a poll, before a run is over
	interval time.Duration // between two passes
	polled   func() int64  // counts the polls that may lead to something; nil: there are none
	stored   func(context.Context, time.Time, func(Identity)) error
	begun    time.Time // when the run did

	findings []finding
	met      atomic.Int64 // findings that are as expected

	unsettled uint64 // as last read
	post      post
	twins     int // callbacks that are stored more than once; unread: nobody knows
}

func newJudge(opts Options) *judge {
	j := &judge{
		logger:   opts.Logger,
		results:  opts.Results,
		settle:   opts.Settle,
		quiet:    10 * time.Second,
		interval: time.Second,
		stored:   opts.Stored,
		findings: make([]finding, opts.Tasks),
	}
	if opts.asked() {
		j.calm = calmPolls
	}
	return j
}

// run blocks until every result is as expected and nothing is unsettled, or has
// moved for j.quiet, since others may have messages there too; or until nothing
// has moved for j.settle. Then every result has been read once more. It returns
// an error only when ctx ends.
func (j *judge) run(ctx context.Context) error {
	w := watch{moved: time.Now()}
	for i := range j.findings {
		j.findings[i].state, j.findings[i].reason = missing, "not read yet"
	}
	for {
		j.look(ctx, &w)
		still := time.Since(w.moved)
		done := w.readable && (w.last.Unsettled == 0 || still >= j.quiet) && still >= j.calm
		if done && j.allMet() && j.finish(ctx) {
			return nil
		}
		if still >= j.settle {
			j.finish(ctx)
			j.logger.Warn("nothing moves any more", "unsettled", j.unsettled)
			return nil
		}
		if !pause(ctx, j.interval) {
			return fmt.Errorf("simulate: wait for results: %w", context.Cause(ctx))
		}
	}
}

// watch is what a judge knows of what goes on.
type watch struct {
	last     Activity
	readable bool // as of the last look
	polls    int64
	moved    time.Time
}

// look reads the activity, and the results that are not yet as expected.
func (j *judge) look(ctx context.Context, w *watch) {
	activity, err := j.activity(ctx)
	switch {
	case err != nil && w.readable:
		j.logger.Warn("results unreadable", "error", err)
	case err == nil && (!w.readable || activity != w.last):
		w.last, w.moved = activity, time.Now()
	}
	if w.readable = err == nil; !w.readable {
		return
	}
	if j.polled != nil {
		if polls := j.polled(); polls != w.polls {
			w.polls, w.moved = polls, time.Now()
		}
	}
	before := j.met.Load()
	if j.post.read {
		j.collect(ctx)
	}
	j.pass(ctx, false)
	if j.met.Load() > before {
		w.moved = time.Now()
	}
}

// finish reads the dead letters, counts the twins, and reads every result once more. It reports whether
// all could be read and are as expected.
func (j *judge) finish(ctx context.Context) bool {
	j.collect(ctx)
	counted := j.countTwins(ctx)
	return j.pass(ctx, true) && counted && j.post.readable && j.allMet()
}

func (j *judge) allMet() bool {
	return j.met.Load() == int64(len(j.findings))
}

func (j *judge) activity(ctx context.Context) (Activity, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	activity, err := j.results.Activity(ctx)
	if err != nil {
		return Activity{}, fmt.Errorf("read activity: %w", err)
	}
	j.unsettled = activity.Unsettled
	return activity, nil
}

// pass reads the results that are not yet as expected, or all of them. It is
// false if some could not be read; of these the last finding stands.
func (j *judge) pass(ctx context.Context, all bool) bool {
	failed, inRow := 0, 0
	for i := range j.findings {
		f := &j.findings[i]
		if f.state == asExpected && !all {
			continue
		}
		if err := j.read(ctx, f); err != nil {
			failed++
			if inRow++; inRow >= maxReadErrors {
				break
			}
			continue
		}
		inRow = 0
	}
	return failed == 0
}

// read updates one finding.
func (j *judge) read(ctx context.Context, f *finding) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	doc, found, err := j.results.Result(ctx, f.want.typ, f.want.id)
	before := f.state
	switch {
	case err != nil:
		if f.state == missing {
			f.reason = "unreadable: " + err.Error()
		}
		return err
	case !found:
		f.state, f.reason = missing, "no result"
	default:
		f.state, f.reason = asExpected, f.want.deviation(doc)
		if f.reason == "" && j.post.read {
			f.reason = j.post.deviation(f.want)
		}
		if f.reason != "" {
			f.state = wrong
		}
	}
	switch {
	case before != asExpected && f.state == asExpected:
		j.met.Add(1)
	case before == asExpected && f.state != asExpected:
		j.met.Add(-1)
	}
	return nil
}
