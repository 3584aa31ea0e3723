package simulate

import (
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
	Duration      time.Duration
	Deviations    []Deviation // the first 10 of the missing and the wrong
}

// Deviation says in what a task's result is not as expected.
type Deviation struct {
	Type   callback.Type
	TaskID callback.TaskID
	Reason string
}

// Failed reports whether a result is missing or wrong, or somebody went into a
// trap. A run that was cut short has failed.
func (r Report) Failed() bool {
	return r.AsExpected < r.Tasks || r.Trapped > 0
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	var text strings.Builder
	for _, table := range [][][2]any{r.counts(), r.deviations()} {
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
