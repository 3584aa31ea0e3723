package simulate

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// partly is want of a task that has one file more, which must be given up.
func partly(id callback.TaskID) expectation {
	e := want(id)
	e.archive = result.Partial
	e.lost = map[string]string{"http://h/gone": "gone"}
	e.letters = letters{callback.Complete: true, callback.First: false}
	return e
}

// partlyGood is a document that meets partly.
func partlyGood(id callback.TaskID) result.Document {
	doc := good(id)
	doc.Archive = result.Partial
	doc.Media = append(doc.Media, result.Media{Name: "b", SourceURL: "http://h/gone", Error: "gone"})
	return doc
}

func TestDeviationOfLostFiles(t *testing.T) {
	t.Parallel()
	if reason := partly("a").deviation(partlyGood("a")); reason != "" {
		t.Errorf("a good loss: %s", reason)
	}
	twice := partly("a")
	twice.lost["http://h/other"] = "gone"
	for name, c := range map[string]struct {
		want  expectation
		spoil func(*result.Document)
	}{
		"safe after all":   {partly("a"), func(d *result.Document) { d.Media[1].SHA256 = "bb" }},
		"another's bytes":  {partly("a"), func(d *result.Document) { d.Media[1].SHA256 = "aa"; d.Media[1].Bytes = 1 }},
		"no error":         {partly("a"), func(d *result.Document) { d.Media[1].Error = "" }},
		"another error":    {partly("a"), func(d *result.Document) { d.Media[1].Error = "expired" }},
		"another file":     {partly("a"), func(d *result.Document) { d.Media[1].SourceURL = "http://h/b" }},
		"not mentioned":    {partly("a"), func(d *result.Document) { d.Media = d.Media[:1] }},
		"the same twice":   {twice, func(d *result.Document) { d.Media = append(d.Media, d.Media[1]) }},
		"all is said lost": {partly("a"), func(d *result.Document) { d.Archive = result.AllFailed }},
		"still waited for": {partly("a"), func(d *result.Document) { d.Archive = result.Pending }},
		"all is said safe": {partly("a"), func(d *result.Document) { d.Archive = result.Archived }},
		"lost for nothing": {want("a"), func(d *result.Document) { d.Archive = result.Archived }},
	} {
		doc := partlyGood("a")
		c.spoil(&doc)
		if c.want.deviation(doc) == "" {
			t.Errorf("%s: not seen", name)
		}
	}
}

func TestDeviationOfDeadLetters(t *testing.T) {
	t.Parallel()
	letter := func(stage callback.Stage, reason string) DeadLetter {
		return DeadLetter{Type: wav, TaskID: "a", Stage: stage, Reason: reason}
	}
	complete, first := letter(callback.Complete, permanent), letter(callback.First, permanent)
	for name, c := range map[string]struct {
		want  expectation
		found []DeadLetter
		right bool
	}{
		"none, and none expected": {want("a"), nil, true},
		"as must be":              {partly("a"), []DeadLetter{complete}, true},
		"as must and may be":      {partly("a"), []DeadLetter{first, complete}, true},
		"replayed in vain":        {partly("a"), []DeadLetter{complete, complete}, true},
		"none":                    {partly("a"), nil, false},
		"only what may be":        {partly("a"), []DeadLetter{first}, false},
		"although all is safe":    {want("a"), []DeadLetter{complete}, false},
		"of another stage":        {partly("a"), []DeadLetter{complete, letter(callback.Text, permanent)}, false},
		"for another reason":      {partly("a"), []DeadLetter{letter(callback.Complete, "gave_up")}, false},
	} {
		if reason := c.want.letters.deviation(c.found); (reason == "") != c.right {
			t.Errorf("%s: %q", name, reason)
		}
	}
}

func TestExpectationsOfTroubledTasks(t *testing.T) {
	t.Parallel()
	p := testPlan(9, 250, Hostility{})
	archives, mays, musts := make(map[result.Archive]int), 0, 0
	for i := range p.ids {
		planned := writeTask(t, p, i)
		e, err := planned.expect()
		if err != nil {
			t.Fatal(err)
		}
		lost := 0
		for _, a := range planned.assets {
			if a.trouble.reason != "" {
				lost++
			}
		}
		want := result.Archived
		switch {
		case planned.final().stage == callback.Error:
			lost, want = 0, result.None
		case lost == len(planned.assets):
			want = result.AllFailed
		case lost > 0:
			want = result.Partial
		}
		archives[e.archive]++
		if e.archive != want || len(e.lost) != lost || e.letters[callback.Complete] != (lost > 0) {
			t.Errorf("task %s: archive %s, want %s; %d files lost, want %d; letters %v", planned.id, e.archive, want, len(e.lost), lost, e.letters)
		}
		if _, may := e.letters[callback.First]; may {
			mays++
		}
		if e.letters[callback.Complete] {
			musts++
		}
	}
	if len(archives) != 4 || mays < 3 || musts < 10 {
		t.Errorf("archives %v; %d dead letters must be, %d of stage first may be", archives, musts, mays)
	}
}

// lettersOf is a course in which the results are as expected from the start, and
// the first task's dead letter comes after some time.
func lettersOf(at time.Duration, failing bool) script {
	return script{
		activity: still,
		document: func(_ time.Duration, id callback.TaskID) (result.Document, bool, error) {
			if id == "a" {
				return partlyGood(id), true, nil
			}
			return good(id), true, nil
		},
		letters: func(since time.Duration, show func(DeadLetter)) error {
			if failing {
				return errors.New("no such stream")
			}
			show(DeadLetter{Type: wav, TaskID: "somebody else's", Stage: callback.Complete, Reason: "gave_up"})
			if since >= at {
				show(DeadLetter{Type: wav, TaskID: "a", Stage: callback.Complete, Reason: permanent})
			}
			return nil
		},
	}
}

func TestJudgeReadsDeadLetters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script script
		states [2]state
	}{
		"there":      {lettersOf(0, false), [2]state{asExpected, asExpected}},
		"late":       {lettersOf(time.Minute, false), [2]state{asExpected, asExpected}},
		"missing":    {lettersOf(time.Hour, false), [2]state{wrong, asExpected}},
		"unreadable": {lettersOf(0, true), [2]state{wrong, asExpected}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j, _ := judgeBy(t, c.script, partly("a"), want("b"))
				if got := [2]state{j.findings[0].state, j.findings[1].state}; got != c.states {
					t.Errorf("states %v, want %v; reasons %q, %q", got, c.states, j.findings[0].reason, j.findings[1].reason)
				}
			})
		})
	}
}
