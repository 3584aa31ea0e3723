package simulate

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"fanfare/pkg/callback"
)

// maxDeviations bounds how many deviations a report spells out.
const maxDeviations = 10

// Report says what was sent and what became of it.
type Report struct {
	Seed          uint64 // gives the same run again
	Tasks         int
	Callbacks     int64 // distinct callbacks sent at least once
	Requests      int64
	OK200         int64 // requests answered 200
	Repeats       int64 // requests beyond the first of each callback
	GaveUp        int64 // callbacks that were never answered 200
	MediaRequests int64 // for files that are served
	MediaFaults   int64 // of these, requests that were answered badly
	Trapped       int64 // connections to where media redirect to and nobody may connect
	AsExpected    int
	Missing       int    // tasks without a result
	Wrong         int    // tasks whose result is not as expected
	Unsettled     uint64 // messages that some durable had not settled when it was last asked
	Twins         int    // callbacks that are stored more than once under one identity; -1: nobody could tell
	Announced     int64  // tasks
	Fates         Fates
	Polls         Polls
	Duration      time.Duration
	Deviations    []Deviation // the first 10 of the missing and the wrong
}

// Fates counts the tasks whose final callback did not come in time.
type Fates struct{ Dropped, Delayed, Raced, Unannounced int }

// Polls counts the questions that the details endpoints were asked.
type Polls struct {
	All         int64
	Faults      int64 // that were not answered as they should
	Told        int64 // that were answered with the task's end
	After       int64 // that came after such an answer
	Excess      int64 // beyond what the receiver may ask
	AtOnce      int64 // while another one for the same task was under way
	Keyless     int64
	Busiest     int // most in 10 s
	MostOfATask int
}

// Deviation says in what a task's result is not as expected.
type Deviation struct {
	Type   callback.Type
	TaskID callback.TaskID
	Reason string
}

// What a receiver may do wrong.
var (
	ErrDeviations = errors.New("results are missing or wrong")
	ErrTrapped    = errors.New("media led into a trap: some process connects to any port of a loopback address")
	ErrTwins      = errors.New("callbacks are stored twice under one identity, or could not be read")
	ErrExcess     = errors.New("polls exceed what the provider bears")
	ErrAtOnce     = errors.New("a task was asked for while it was asked for")
	ErrKeyless    = errors.New("polls came without a key")
)

// Failed reports whether the receiver did anything wrong. A run that was cut short
// has failed.
func (r Report) Failed() bool { return r.Err() != nil }

// Err says all that the receiver did wrong, or nil.
func (r Report) Err() error {
	var errs []error
	for _, promise := range []struct {
		broken bool
		err    error
	}{
		{r.AsExpected < r.Tasks, ErrDeviations},
		{r.Trapped > 0, ErrTrapped},
		{r.Twins != 0, ErrTwins},
		{r.Polls.Excess > 0, ErrExcess},
		{r.Polls.AtOnce > 0, ErrAtOnce},
		{r.Polls.Keyless > 0, ErrKeyless},
	} {
		if promise.broken {
			errs = append(errs, promise.err)
		}
	}
	return errors.Join(errs...)
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	var text strings.Builder
	for _, table := range [][][2]any{append(append(r.counts(), r.missed()...), r.ending()...), r.deviations()} {
		columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		for _, row := range table {
			if _, err := fmt.Fprintf(columns, "%v\t%v\n", row[0], row[1]); err != nil {
				return fmt.Errorf("simulate: write report: %w", err)
			}
		}
		if err := columns.Flush(); err != nil {
			return fmt.Errorf("simulate: write report: %w", err)
		}
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("simulate: write report: %w", err)
	}
	return nil
}

func (r Report) counts() [][2]any {
	return [][2]any{
		{"seed", r.Seed},
		{"tasks", r.Tasks},
		{"callbacks", r.Callbacks},
		{"requests", r.Requests},
		{"answered 200", r.OK200},
		{"repeats", r.Repeats},
		{"given up", r.GaveUp},
		{"media requests", r.MediaRequests},
		{"media faults", r.MediaFaults},
		{"trapped", r.Trapped},
	}
}

// missed are the rows of a run with polls.
func (r Report) missed() [][2]any {
	if r.Announced == 0 && r.Polls.All == 0 {
		return nil
	}
	return [][2]any{
		{"announced", r.Announced},
		{"unannounced", r.Fates.Unannounced},
		{"dropped", r.Fates.Dropped},
		{"delayed", r.Fates.Delayed},
		{"raced", r.Fates.Raced},
		{"polls", r.Polls.All},
		{"poll errors", r.Polls.Faults},
		{"final answers", r.Polls.Told},
		{"polls after it", r.Polls.After},
		{"most of a task", r.Polls.MostOfATask},
		{"most in 10 s", r.Polls.Busiest},
		{"over budget", r.Polls.Excess},
		{"polls at once", r.Polls.AtOnce},
		{"polls no key", r.Polls.Keyless},
	}
}

func (r Report) ending() [][2]any {
	stored := any(r.Twins)
	if r.Twins == unread {
		stored = "unreadable"
	}
	return [][2]any{
		{"stored twice", stored},
		{"as expected", r.AsExpected},
		{"missing", r.Missing},
		{"wrong", r.Wrong},
		{"unsettled", r.Unsettled},
		{"duration", r.Duration.Round(time.Millisecond)},
	}
}

func (r Report) deviations() [][2]any {
	rows := make([][2]any, 0, len(r.Deviations))
	for _, d := range r.Deviations {
		rows = append(rows, [2]any{string(d.Type) + " " + string(d.TaskID), d.Reason})
	}
	return rows
}

// count takes over what the judge found.
func (r *Report) count(findings []finding) {
	for _, f := range findings {
		switch f.state {
		case unjudged:
			continue
		case asExpected:
			r.AsExpected++
			continue
		case wrong:
			r.Wrong++
		case missing:
			r.Missing++
		}
		if len(r.Deviations) < maxDeviations {
			r.Deviations = append(r.Deviations, Deviation{f.want.typ, f.want.id, f.reason})
		}
	}
}
