package provider

import (
	"time"

	"fanfare/pkg/callback"
)

// Outcome says what came of asking for a task. [Outcomes] lists them all, so that
// an outcome can be a metric's label.
type Outcome string

// The outcomes, those that [Outcome.Usable] reports first.
const (
	Final       Outcome = "final"        // with a callback of stage complete or error
	Progress    Outcome = "progress"     // with a callback of stage text or first
	Running     Outcome = "running"      // nothing to report yet, or in words that nobody knows
	Incomplete  Outcome = "incomplete"   // the task is said to have succeeded, but its result is missing or invalid: ask again
	UnknownTask Outcome = "unknown_task" // the provider has no such task, or not yet: a new cover task is unknown for a while

	Throttled   Outcome = "throttled"   // asked too often
	NoCredits   Outcome = "no_credits"  // the account, or the key's share of it, is used up
	Refused     Outcome = "refused"     // the key, the path or the host is wrong: nothing will change by itself
	Unavailable Outcome = "unavailable" // no complete answer, an error of the provider's own, or maintenance
	Unusable    Outcome = "unusable"    // an answer that cannot be read, or of another task
)

// Outcomes returns every outcome.
func Outcomes() []Outcome {
	return []Outcome{
		Final, Progress, Running, Incomplete, UnknownTask,
		Throttled, NoCredits, Refused, Unavailable, Unusable,
	}
}

// Usable reports whether the provider said where the task stands. Of the other
// outcomes all but Unusable are the provider's for any task.
func (o Outcome) Usable() bool {
	switch o {
	case Final, Progress, Running, Incomplete, UnknownTask:
		return true
	default:
		return false
	}
}

// Answer is what came of asking for a task.
type Answer struct {
	Outcome  Outcome
	Callback callback.Callback // of Final and Progress, Polled and valid, with its Body to publish and without a time; else zero
	Code     int32             // the answer's own code, or its HTTP status; 0: there was no answer
	Wait     time.Duration     // how long the provider asks to wait, at most 1 h; 0: it does not ask
	Detail   string            // why it is not Final, for people: never the key, never what the provider wrote
}

// is returns the answer with its outcome and the reason for it.
func (a Answer) is(outcome Outcome, detail string) Answer {
	a.Outcome, a.Detail = outcome, detail
	return a
}
