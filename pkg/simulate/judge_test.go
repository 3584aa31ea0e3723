package simulate

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// want is what the judge's tests expect of a task.
func want(id callback.TaskID) expectation {
	return expectation{
		typ: wav, id: id, stage: callback.Complete, code: 200,
		outcome: result.Succeeded, archive: result.Archived, files: map[string]int64{"aa": 1},
	}
}

// good is a document that meets want.
func good(id callback.TaskID) result.Document {
	return result.Document{
		Type: wav, TaskID: id, Stage: callback.Complete, Code: 200,
		Outcome: result.Succeeded, Archive: result.Archived,
		Media: []result.Media{{Name: "audio.wav", SHA256: "aa", Bytes: 1}},
	}
}

// script is Results that are a function of the time since the start.
type script struct {
	start    time.Time
	document func(since time.Duration, id callback.TaskID) (result.Document, bool, error)
	activity func(since time.Duration) (Activity, error)
	letters  func(since time.Duration, show func(DeadLetter)) error // nil: there are none
}

func (s script) Result(_ context.Context, _ callback.Type, id callback.TaskID) (result.Document, bool, error) {
	return s.document(time.Since(s.start), id)
}

func (s script) Activity(context.Context) (Activity, error) {
	return s.activity(time.Since(s.start))
}

func (s script) DeadLetters(_ context.Context, show func(DeadLetter)) error {
	if s.letters == nil {
		return nil
	}
	return s.letters(time.Since(s.start), show)
}

// judgeBy runs a judge over two tasks and says how long it took.
func judgeBy(t *testing.T, s script, one, other expectation) (j *judge, took time.Duration) {
	t.Helper()
	s.start = time.Now()
	opts, err := Options{Logger: discard(), Results: s, Tasks: 2}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	j = newJudge(opts)
	j.findings[0].want, j.findings[1].want = one, other
	if err := j.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j, time.Since(s.start)
}

func after(at time.Duration) func(time.Duration, callback.TaskID) (result.Document, bool, error) {
	return func(since time.Duration, id callback.TaskID) (result.Document, bool, error) {
		if since < at {
			return result.Document{}, false, nil
		}
		return good(id), true, nil
	}
}

func still(time.Duration) (Activity, error) { return Activity{}, nil }

// waiting is a course of things, how long the judge may watch it, and what it
// must find in the end.
type waiting struct {
	script
	min, max time.Duration
	states   [2]state
}

// goodTimes are courses in which nothing fails.
func goodTimes() map[string]waiting {
	return map[string]waiting{
		"everything there": {
			script: script{document: after(0), activity: still},
			max:    time.Second, states: [2]state{asExpected, asExpected},
		},
		"results come late": {
			script: script{document: after(2 * time.Minute), activity: still},
			min:    2 * time.Minute, max: 2*time.Minute + 5*time.Second, states: [2]state{asExpected, asExpected},
		},
		"nothing ever comes": {
			script: script{document: after(time.Hour), activity: still},
			min:    3 * time.Minute, max: 3*time.Minute + 5*time.Second, states: [2]state{missing, missing},
		},
		"moving for ten minutes": {
			script: script{document: after(time.Hour), activity: func(since time.Duration) (Activity, error) {
				return Activity{Moves: uint64(min(since, 10*time.Minute) / time.Minute)}, nil
			}},
			min: 13 * time.Minute, max: 13*time.Minute + 5*time.Second, states: [2]state{missing, missing},
		},
		"moving although as expected": {
			script: script{document: after(0), activity: func(since time.Duration) (Activity, error) {
				if since < time.Minute {
					return Activity{Unsettled: 1, Moves: uint64(since)}, nil
				}
				return Activity{}, nil
			}},
			min: time.Minute, max: time.Minute + 5*time.Second, states: [2]state{asExpected, asExpected},
		},
	}
}

// badTimes are courses in which something does.
func badTimes() map[string]waiting {
	down := errors.New("no responders")
	return map[string]waiting{
		"never settled": {
			script: script{document: after(0), activity: func(time.Duration) (Activity, error) { return Activity{Unsettled: 1}, nil }},
			min:    10 * time.Second, max: 15 * time.Second, states: [2]state{asExpected, asExpected},
		},
		"the broker away, then slow": {
			script: script{document: after(4 * time.Minute), activity: func(since time.Duration) (Activity, error) {
				if since < 170*time.Second {
					return Activity{}, down
				}
				return Activity{Unsettled: 1}, nil
			}},
			min: 4 * time.Minute, max: 8 * time.Minute, states: [2]state{asExpected, asExpected},
		},
		"the broker never back": {
			script: script{
				document: func(time.Duration, callback.TaskID) (result.Document, bool, error) {
					return result.Document{}, false, down
				},
				activity: func(time.Duration) (Activity, error) { return Activity{}, down },
			},
			min: 3 * time.Minute, max: 4 * time.Minute, states: [2]state{missing, missing},
		},
		"one result cannot be read": {
			script: script{document: func(_ time.Duration, id callback.TaskID) (result.Document, bool, error) {
				if id == "a" {
					return result.Document{}, false, errors.New("not JSON")
				}
				return good(id), true, nil
			}, activity: still},
			min: 3 * time.Minute, max: 4 * time.Minute, states: [2]state{missing, asExpected},
		},
		"a result is spoilt after it was good": {
			script: script{document: func(since time.Duration, id callback.TaskID) (result.Document, bool, error) {
				doc := good(id)
				if id == "a" && since > 10*time.Second {
					doc.Outcome = result.Failed
				}
				return doc, id == "a" || since > time.Minute, nil
			}, activity: still},
			min: 3 * time.Minute, max: 5 * time.Minute, states: [2]state{wrong, asExpected},
		},
	}
}

func TestJudgeWaits(t *testing.T) {
	t.Parallel()
	cases := goodTimes()
	maps.Copy(cases, badTimes())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j, took := judgeBy(t, c.script, want("a"), want("b"))
				if took < c.min || took > c.max {
					t.Errorf("took %v, want %v to %v", took, c.min, c.max)
				}
				if got := [2]state{j.findings[0].state, j.findings[1].state}; got != c.states {
					t.Errorf("states %v, want %v; reasons %q, %q", got, c.states, j.findings[0].reason, j.findings[1].reason)
				}
			})
		})
	}
}

func TestJudgeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		j := newJudge(Options{Logger: discard(), Results: script{document: after(time.Hour), activity: still}, Settle: maxSettle, Tasks: 1})
		if err := j.run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

func TestDeviation(t *testing.T) {
	t.Parallel()
	failure := result.FailureOf(531)
	failed := expectation{typ: wav, id: "a", stage: callback.Error, code: 531, outcome: result.Failed, failure: &failure, archive: result.None}
	failedDoc := result.Document{Type: wav, TaskID: "a", Stage: callback.Error, Code: 531, Outcome: result.Failed, Failure: &result.Failure{
		Reason: result.GenerationRefunded, Retryable: true, CreditsRefunded: true,
	}, Archive: result.None}
	if reason := failed.deviation(failedDoc); reason != "" {
		t.Errorf("a good failure: %s", reason)
	}
	if reason := want("a").deviation(good("a")); reason != "" {
		t.Errorf("a good success: %s", reason)
	}
	two := want("a")
	two.files = map[string]int64{"aa": 1, "bb": 2}
	for name, c := range map[string]struct {
		want  expectation
		doc   result.Document
		spoil func(*result.Document)
	}{
		"type":           {want("a"), good("a"), func(d *result.Document) { d.Type = video }},
		"task ID":        {want("a"), good("b"), func(*result.Document) {}},
		"outcome":        {want("a"), good("a"), func(d *result.Document) { d.Outcome = result.Progress }},
		"stage":          {want("a"), good("a"), func(d *result.Document) { d.Stage = callback.First }},
		"code":           {want("a"), good("a"), func(d *result.Document) { d.Code = 0 }},
		"failure":        {want("a"), good("a"), func(d *result.Document) { d.Failure = &failure }},
		"no failure":     {failed, failedDoc, func(d *result.Document) { d.Failure = nil }},
		"other failure":  {failed, failedDoc, func(d *result.Document) { d.Failure = &result.Failure{Reason: result.GenerationRefunded} }},
		"archive":        {want("a"), good("a"), func(d *result.Document) { d.Archive = result.Partial }},
		"media of none":  {failed, failedDoc, func(d *result.Document) { d.Media = good("a").Media }},
		"no media":       {want("a"), good("a"), func(d *result.Document) { d.Media = nil }},
		"not archived":   {want("a"), good("a"), func(d *result.Document) { d.Media[0].SHA256 = "" }},
		"other content":  {want("a"), good("a"), func(d *result.Document) { d.Media[0].SHA256 = "bb" }},
		"other size":     {want("a"), good("a"), func(d *result.Document) { d.Media[0].Bytes = 2 }},
		"the same twice": {two, good("a"), func(d *result.Document) { d.Media = append(d.Media, d.Media[0]) }},
		"an error too":   {want("a"), good("a"), func(d *result.Document) { d.Media[0].Error = "reset" }},
	} {
		c.spoil(&c.doc)
		if c.want.deviation(c.doc) == "" {
			t.Errorf("%s: not seen", name)
		}
	}
}
