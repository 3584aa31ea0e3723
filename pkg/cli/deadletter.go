package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// DeadLetter holds the commands on what a consumer could not process.
type DeadLetter struct {
	List   DeadLetterList   `cmd:"" help:"List dead letters, oldest first."`
	Show   DeadLetterShow   `cmd:"" help:"Print one dead letter: its headers and its body."`
	Replay DeadLetterReplay `cmd:"" help:"Give dead letters another go: publish each for its consumer, and delete it here."`
	Delete DeadLetterDelete `cmd:"" help:"Delete dead letters for good."`
}

// Letters are the flags that choose among dead letters.
type Letters struct {
	Type   string `placeholder:"TYPE" help:"Only this callback type (default: all)."`
	Reason string `placeholder:"REASON" help:"Only this reason, such as permanent or gave_up (default: all)."`
	Task   string `placeholder:"ID" help:"Only this task ID (default: all)."`
	Since  string `placeholder:"TIME" help:"Only what died at this time or later, such as 2026-07-01T12:30:00Z or, for an age, 2h (default: all)."`
	Until  string `placeholder:"TIME" help:"Only what died at this time or earlier (default: all)."`
}

// chosenLetters are the dead letters that the flags choose.
type chosenLetters struct {
	Letters
	typ          callback.Type // "": all
	since, until time.Time
}

func (l Letters) choose(now time.Time) (c chosenLetters, err error) {
	c.Letters = l
	if l.Type != "" {
		if c.typ, err = callback.ParseType(l.Type); err != nil {
			return c, err
		}
	}
	if c.since, err = instant("--since", l.Since, now, time.Time{}); err != nil {
		return c, err
	}
	if c.until, err = instant("--until", l.Until, now, time.Unix(1<<40, 0)); err != nil {
		return c, err
	}
	if c.until.Before(c.since) {
		return c, fmt.Errorf("--until %s is before --since %s", l.Until, l.Since)
	}
	return c, nil
}

// instant reads a flag that is a time or an age.
func instant(flag, value string, now, unset time.Time) (time.Time, error) {
	if value == "" {
		return unset, nil
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return at, nil
	}
	if age, err := time.ParseDuration(value); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	return unset, fmt.Errorf("%s %q: want a time such as 2026-07-01T12:30:00Z, or an age such as 2h", flag, value)
}

// each calls do for each chosen dead letter, oldest first.
func (c chosenLetters) each(ctx context.Context, b *broker.Broker, do func(broker.DeadLetter) error) error {
	return b.DeadLetters(ctx, c.typ, func(l broker.DeadLetter) error {
		if c.Reason != "" && c.Reason != l.Reason || c.Task != "" && c.Task != string(l.TaskID) ||
			l.Died.Before(c.since) || l.Died.After(c.until) {
			return nil
		}
		return do(l)
	})
}

// DeadLetterList is the command dead-letter list.
type DeadLetterList struct {
	Letters
	Listing
	NATS
}

// Run lists.
func (c *DeadLetterList) Run(ctx context.Context, env Env) error {
	chosen, err := c.choose(time.Now())
	if err != nil {
		return err
	}
	b, err := c.connect(env.newToolLogger("dead-letter"), "dead-letter")
	if err != nil {
		return err
	}
	defer b.Close()
	return c.list(env.Out, "NUMBER\tDIED\tTYPE\tSTAGE\tTASK ID\tREASON\tDELIVERIES\tLAST ERROR", func(show func(entry) error) error {
		return chosen.each(ctx, b, func(l broker.DeadLetter) error { return show(letterEntry(l)) })
	})
}

func letterEntry(l broker.DeadLetter) entry {
	return entry{
		columns: fmt.Sprintf("%d\t%s\t%s\t%s\t%s\t%s\t%d\t%.100s",
			l.Sequence, l.Died.Format(time.RFC3339), l.Type, l.Stage, l.TaskID, l.Reason, l.Deliveries, l.LastError),
		object: struct {
			Number       uint64            `json:"number"`
			Type         callback.Type     `json:"type"`
			TaskID       callback.TaskID   `json:"task_id"`
			Stage        callback.Stage    `json:"stage"`
			MessageID    string            `json:"message_id"`
			Subject      string            `json:"subject"`
			RedeliveryOf uint64            `json:"redelivery_of,omitzero"`
			Reason       string            `json:"reason"`
			Deliveries   uint64            `json:"deliveries"`
			FirstError   string            `json:"first_error,omitzero"`
			LastError    string            `json:"last_error"`
			Received     time.Time         `json:"received"`
			FirstFailed  time.Time         `json:"first_failed,omitzero"`
			Died         time.Time         `json:"died"`
			Header       map[string]string `json:"header"`
			Body         []byte            `json:"body"` // base64: it may be anything
		}{
			l.Sequence, l.Type, l.TaskID, l.Stage, l.MessageID, l.Subject, l.RedeliveryOf, l.Reason, l.Deliveries,
			l.FirstError, l.LastError, l.Received, l.FirstFailed, l.Died, l.Header, l.Body,
		},
	}
}

// DeadLetterShow is the command dead-letter show.
type DeadLetterShow struct {
	Number uint64 `arg:"" help:"As listed."`
	Body   bool   `help:"Print the body alone, byte for byte (default: headers too, and the body made readable)."`
	NATS
}

// Run prints the dead letter.
func (c *DeadLetterShow) Run(ctx context.Context, env Env) error {
	b, err := c.connect(env.newToolLogger("dead-letter"), "dead-letter")
	if err != nil {
		return err
	}
	defer b.Close()
	letter, err := b.FromDeadLetters(ctx, c.Number)
	if errors.Is(err, broker.ErrNotKept) {
		return fmt.Errorf("%w: dead-letter list shows which there are", err)
	}
	if err != nil {
		return err
	}
	text := string(letter.Body)
	if !c.Body {
		text = readable(letter)
	}
	if _, err := io.WriteString(env.Out, text); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// readable is the dead letter for people. Nothing in it moves a terminal's
// cursor, whatever the provider sent.
func readable(l broker.DeadLetter) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		text.WriteString(name + ": " + l.Header[name] + "\n")
	}
	body := jsontext.Value(slices.Clone(l.Body))
	if err := body.Indent(); err != nil {
		body = l.Body // it is no JSON, and shown as it is
	}
	text.WriteString("\n" + string(body) + "\n")
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text.String())
}
