package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"fanfare/pkg/broker"
	"fanfare/pkg/format"
	"fanfare/pkg/result"
)

// Tail is the command tail.
type Tail struct {
	Subject string `arg:"" default:"callbacks.>" help:"Subject filter that begins with callbacks, redeliver, quarantine, dead-letters or results."`
	JSON    bool   `name:"json" help:"One JSON object a line (default: text)."`
	Since   string `placeholder:"AGE" help:"Begin with what is at most this old, such as 1h, or with all (default: only what is new)."`
	NATS
}

// Run follows the subject until ctx ends.
func (c *Tail) Run(ctx context.Context, env Env) error {
	if first, _, _ := strings.Cut(c.Subject, "."); first == "tasks" {
		return errors.New("announcements of tasks are not followed: fanfare tasks list shows what came of them")
	}
	since, err := c.since(time.Now())
	if err != nil {
		return err
	}
	b, err := c.connect(env.newToolLogger("tail"), "tail")
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Follow(ctx, c.Subject, since, func(m broker.Message) error {
		if c.JSON {
			return writeMessage(env.Out, m)
		}
		return writeLine(env.Out, m)
	})
}

// since returns from when on messages are wanted; the zero time means from now.
func (c *Tail) since(now time.Time) (time.Time, error) {
	switch c.Since {
	case "":
		return time.Time{}, nil
	case "all":
		return time.Unix(0, 1), nil
	}
	age, err := time.ParseDuration(c.Since)
	if err != nil || age <= 0 {
		return time.Time{}, fmt.Errorf("--since %q: want an age such as 30m or 1h, or all", c.Since)
	}
	return now.Add(-age), nil
}

// writeMessage writes the message for machines.
func writeMessage(w io.Writer, m broker.Message) error {
	body := jsontext.Value(m.Body)
	if body.Compact() != nil {
		quoted, err := jsontext.AppendQuote(nil, m.Body)
		if err != nil {
			return fmt.Errorf("quote the body of %s: %w", m.Subject, err)
		}
		body = quoted
	}
	line, err := json.Marshal(struct {
		Subject  string            `json:"subject"`
		Sequence uint64            `json:"sequence"`
		Stored   time.Time         `json:"stored"`
		Header   map[string]string `json:"header"`
		Body     jsontext.Value    `json:"body"`
	}{m.Subject, m.Sequence, m.Stored, m.Header, body}, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode the message on %s: %w", m.Subject, err)
	}
	return write(w, string(line))
}

// writeLine writes the message for people. What the provider said is quoted: it
// may hold anything, line breaks and terminal codes included.
func writeLine(w io.Writer, m broker.Message) error {
	at := m.Stored.Local().Format("15:04:05.000")
	if strings.HasPrefix(m.Subject, "results.") {
		doc, err := result.Decode(m.Body)
		if errors.Is(err, format.ErrNewer) {
			return write(w, fmt.Sprintf("%s  %s  %s", at, m.Subject, format.ErrNewer))
		}
		if err != nil {
			return write(w, fmt.Sprintf("%s  %s  no readable result", at, m.Subject))
		}
		return write(w, at+"  "+resultLine(doc))
	}
	var said struct {
		Code    jsontext.Value `json:"code"`
		Message string         `json:"msg"`
	}
	if err := json.Unmarshal(m.Body, &said); err != nil {
		return write(w, fmt.Sprintf("%s  %-24s %d bytes that are no callback", at, m.Subject, len(m.Body)))
	}
	return write(w, fmt.Sprintf("%s  %-24s %.80s  %s  %.80q", at, m.Subject, m.Header["ce-subject"], code(said.Code), said.Message))
}

// code shows a number as it is and anything else quoted.
func code(v jsontext.Value) string {
	if v.Kind() == '0' {
		return fmt.Sprintf("%.20s", v)
	}
	return fmt.Sprintf("%.20q", v)
}

func resultLine(doc result.Document) string {
	var bytes int64
	for _, m := range doc.Media {
		bytes += m.Bytes
	}
	what := string(doc.Outcome)
	if doc.Failure != nil {
		what += " (" + string(doc.Failure.Reason) + ")"
	}
	return fmt.Sprintf("results.%-16s %s  %s  archive %s, %d files, %d bytes", doc.Type, doc.TaskID, what, doc.Archive, len(doc.Media), bytes)
}

func write(w io.Writer, line string) error {
	if _, err := io.WriteString(w, line+"\n"); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
