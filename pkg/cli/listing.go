package cli

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/go-json-experiment/json"
)

// Listing is the flag of commands that list.
type Listing struct {
	JSON bool `name:"json" help:"One JSON object a line (default: a table)."`
}

// entry is one line of a list.
type entry struct {
	columns string // separated by tabs
	object  any
}

// list writes what each hands to its argument: for people under a heading of
// columns, separated by tabs, and for machines as JSON.
func (l Listing) list(w io.Writer, heading string, each func(show func(entry) error) error) error {
	if l.JSON {
		return each(func(e entry) error { return writeJSON(w, e.object) })
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if err := write(table, heading); err != nil {
		return err
	}
	err := each(func(e entry) error { return write(table, e.columns) })
	if flushed := table.Flush(); flushed != nil {
		err = errors.Join(err, fmt.Errorf("write: %w", flushed))
	}
	return err
}

// writeJSON writes one JSON object in one line.
func writeJSON(w io.Writer, object any) error {
	text, err := json.Marshal(object, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return write(w, string(text))
}
