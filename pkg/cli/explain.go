package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fanfare/consumers"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/format"
	"fanfare/pkg/ledger"
	"fanfare/pkg/result"
)

// Explain is the command explain.
type Explain struct {
	TaskID string `arg:"" help:"Task ID."`
	Type   string `placeholder:"TYPE" help:"Only this callback type (default: all)."`
	Listing
	NATS
}

// Run tells what is stored of a task.
func (c *Explain) Run(ctx context.Context, env Env) error {
	id, err := callback.ParseTaskID(c.TaskID)
	if err != nil {
		return err
	}
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	b, err := c.connect(env.newToolLogger("explain"), "explain")
	if err != nil {
		return err
	}
	defer b.Close()
	s := story{broker: b, id: id}
	for _, spec := range consumers.All() {
		if c.Type == "" || string(spec.Type) == c.Type {
			if err := s.read(ctx, contracts[spec.Type]); err != nil {
				return err
			}
		}
	}
	if len(s.events) == 0 {
		return cmp.Or(s.newer, fmt.Errorf("nothing is stored of a task %s", id))
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return a.At.Compare(b.At) })
	err = c.list(env.Out, "TIME\tTYPE\tWHAT\tDETAILS", func(show func(entry) error) error {
		for _, e := range s.events {
			line := fmt.Sprintf("%s\t%s\t%s\t%s", e.At.Local().Format("2006-01-02 15:04:05.000"), e.Type, e.What, e.Details)
			if err := show(entry{line, e}); err != nil {
				return err
			}
		}
		return nil
	})
	return cmp.Or(err, s.newer)
}

// event is one line of a story.
type event struct {
	At      time.Time     `json:"at"`
	Type    callback.Type `json:"type"`
	What    string        `json:"what"`
	Details string        `json:"details"`
}

// story collects what is stored of one task.
type story struct {
	broker *broker.Broker
	id     callback.TaskID
	events []event
	newer  error // of what only a newer fanfare can read, if there was any
}

func (s *story) add(at time.Time, t callback.Type, what, details string, values ...any) {
	s.events = append(s.events, event{at.UTC(), t, what, fmt.Sprintf(details, values...)})
}

// read collects what is stored under one type.
func (s *story) read(ctx context.Context, contract *callback.Contract) error {
	for _, part := range []func(context.Context, *callback.Contract) error{
		s.announcements, s.callbacks, s.duplicates, s.quarantined, s.deadLetters, s.ledger, s.results,
	} {
		if err := s.passOver(part(ctx, contract)); err != nil {
			return err
		}
	}
	return nil
}

// passOver notes that something can only be read by a newer fanfare. Other errors it
// returns.
func (s *story) passOver(err error) error {
	if errors.Is(err, format.ErrNewer) {
		s.newer = cmp.Or(s.newer, err)
		return nil
	}
	return err
}

func (s *story) announcements(ctx context.Context, contract *callback.Contract) error {
	return s.broker.Read(ctx, "tasks."+string(contract.Type), func(m broker.Message) error {
		if a, err := ledger.ParseAnnouncement(m.Body, m.Stored); err == nil && a.TaskID == s.id {
			s.add(m.Stored, contract.Type, "announced", "submitted %s to %s", a.SubmittedAt.Format(time.RFC3339), cmp.Or(a.Provider, "the provider"))
		}
		return nil
	})
}

func (s *story) callbacks(ctx context.Context, contract *callback.Contract) error {
	show := func(m broker.Message) error {
		if m.Header["ce-subject"] != string(s.id) {
			return nil
		}
		what, how := "callback", "the provider called"
		if strings.HasPrefix(m.Header["ce-source"], "/polls/") {
			what, how = "poll", "the provider was asked"
		}
		if strings.HasPrefix(m.Subject, "redeliver.") {
			what, how = "replay", "a dead letter was given another go"
		}
		s.add(m.Stored, contract.Type, what, "%s, code %s: %s (message %d on %s)", m.Header["ce-stage"], m.Header["ce-code"], how, m.Sequence, m.Subject)
		return nil
	}
	if err := s.broker.Read(ctx, "callbacks."+string(contract.Type)+".>", show); err != nil {
		return err
	}
	return s.broker.Read(ctx, "redeliver."+string(contract.Type)+".>", show)
}

func (s *story) duplicates(ctx context.Context, contract *callback.Contract) error {
	again, err := s.broker.Ledger().CameAgain(ctx, contract.Type, s.id)
	for _, a := range again {
		s.add(a.Last, contract.Type, "duplicate", "%s came again, then for the last time", a.MessageID)
	}
	return err
}

func (s *story) quarantined(ctx context.Context, contract *callback.Contract) error {
	return s.broker.Read(ctx, "quarantine."+string(contract.Type), func(m broker.Message) error {
		q, err := broker.NewQuarantined(m)
		if err != nil {
			return s.passOver(err)
		}
		if identified, err := contract.Identify(q.Body); err != nil || identified.TaskID != s.id {
			return nil //nolint:nilerr // a body that says nothing readable of its task is of none
		}
		what := "quarantined"
		if q.Reason == broker.ReasonConflict {
			what = "conflict"
		}
		s.add(q.Received, contract.Type, what, "%s: %d bytes (quarantine %d)", q.Reason, len(q.Body), m.Sequence)
		return nil
	})
}

func (s *story) deadLetters(ctx context.Context, contract *callback.Contract) error {
	return s.broker.DeadLetters(ctx, contract.Type, func(d broker.DeadLetter) error {
		if d.TaskID == s.id {
			s.add(d.Died, contract.Type, "dead letter", "%s after %d deliveries: %s (dead letter %d)", d.Reason, d.Deliveries, d.LastError, d.Sequence)
		}
		return nil
	})
}

func (s *story) ledger(ctx context.Context, contract *callback.Contract) error {
	e, found, err := s.broker.Ledger().Get(ctx, contract.Type, s.id)
	if err != nil || !found {
		return err
	}
	for _, happened := range e.Events {
		s.add(happened.At, contract.Type, "ledger", "%s", happened.What)
	}
	if e.State.Open() {
		s.add(e.NextPoll, contract.Type, "ledger", "next poll; %d so far", e.Polls)
	}
	return nil
}

func (s *story) results(ctx context.Context, contract *callback.Contract) error {
	states, err := s.broker.Results().History(ctx, contract.Type, s.id)
	if err != nil {
		return err
	}
	for _, state := range states {
		s.add(state.Stored, contract.Type, "result", "%s", describe(state.Document))
	}
	return nil
}

// describe is a result in one line.
func describe(doc result.Document) string {
	outcome := string(doc.Outcome)
	if doc.Failure != nil {
		outcome += " (" + string(doc.Failure.Reason) + ")"
	}
	parts := []string{outcome, "archive " + string(doc.Archive)}
	for _, m := range doc.Media {
		switch {
		case m.Archived():
			parts = append(parts, fmt.Sprintf("%s %d bytes", m.Name, m.Bytes))
		case m.Error != "":
			parts = append(parts, m.Name+": "+m.Error)
		}
	}
	if n := len(doc.Conflicts); n > 0 {
		parts = append(parts, fmt.Sprintf("%d conflicts", n))
	}
	return strings.Join(parts, ", ")
}
