package simulate

import (
	"context"
	"fmt"
	"time"

	"fanfare/pkg/callback"
)

// permanent is the reason of dead letters whose files cannot be had by trying
// again.
const permanent = "permanent"

// lettersTimeout bounds one reading of the dead letters.
const lettersTimeout = time.Minute

// DeadLetter is a message that a consumer has given up.
type DeadLetter struct {
	Type   callback.Type
	TaskID callback.TaskID
	Stage  callback.Stage
	Reason string // one word
}

// letters says of which of a task's callbacks dead letters are made: of these
// stages, and whether they must be or may be.
type letters map[callback.Stage]bool

// expectLetters returns what dead letters the task must come to. The callback of
// stage complete becomes one if a file must be given up. That of stage first does
// too, unless a final one has overtaken it: then nobody asks for its files.
func (t task) expectLetters() letters {
	l := make(letters)
	for _, c := range t.calls {
		for _, a := range t.assets {
			lost := a.trouble.reason != ""
			switch {
			case lost && c.stage == callback.Complete:
				l[c.stage] = true
			case lost && c.stage == callback.First && a.early:
				l[c.stage] = false
			}
		}
	}
	return l
}

// deviation says in a few words how the task's dead letters differ from what is
// expected; "" means that they do not.
func (l letters) deviation(found []DeadLetter) string {
	there := make(map[callback.Stage]bool)
	for _, letter := range found {
		if _, may := l[letter.Stage]; !may || letter.Reason != permanent {
			return fmt.Sprintf("callback %s became a dead letter: %s", letter.Stage, letter.Reason)
		}
		there[letter.Stage] = true
	}
	for stage, must := range l {
		if must && !there[stage] {
			return fmt.Sprintf("callback %s is no dead letter", stage)
		}
	}
	return ""
}

// post is what a judge knows of the dead letters.
type post struct {
	read     bool // or was tried to be
	readable bool // as of the last reading
	byTask   map[string][]DeadLetter
}

func taskKey(t callback.Type, id callback.TaskID) string { return callback.Key(t, id, "/") }

// deviation is that of one task's dead letters.
func (p post) deviation(want expectation) string {
	if !p.readable && len(want.letters) > 0 {
		return "dead letters unreadable"
	}
	return want.letters.deviation(p.byTask[taskKey(want.typ, want.id)])
}

// collect reads the dead letters of the tasks; of others it remembers nothing,
// for the stream may hold many from earlier runs.
func (j *judge) collect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lettersTimeout)
	defer cancel()
	byTask := make(map[string][]DeadLetter, len(j.findings))
	for _, f := range j.findings {
		byTask[taskKey(f.want.typ, f.want.id)] = nil
	}
	err := j.results.DeadLetters(ctx, func(letter DeadLetter) {
		key := taskKey(letter.Type, letter.TaskID)
		if known, ours := byTask[key]; ours {
			byTask[key] = append(known, letter)
		}
	})
	if err != nil && (!j.post.read || j.post.readable) {
		j.logger.Warn("dead letters unreadable", "error", err)
	}
	j.post.read, j.post.readable = true, err == nil
	if err == nil {
		j.post.byTask = byTask
	}
}
