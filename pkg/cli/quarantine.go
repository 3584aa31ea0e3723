package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/format"
)

// commandWait bounds one question to the broker.
const commandWait = 10 * time.Second

// Quarantine holds the commands on what could not be used.
type Quarantine struct {
	List   QuarantineList   `cmd:"" help:"List what is in quarantine, oldest first."`
	Show   QuarantineShow   `cmd:"" help:"Print one request's body, byte for byte."`
	Replay QuarantineReplay `cmd:"" help:"Publish what is a valid callback by now, and delete it here; the rest stays."`
	Delete QuarantineDelete `cmd:"" help:"Delete requests for good."`
}

// Chosen are the flags that choose among what is in quarantine.
type Chosen struct {
	Type   string `placeholder:"TYPE" help:"Only this callback type (default: all)."`
	Reason string `placeholder:"REASON" help:"Only this reason: malformed, task_id, schema or conflict (default: all)."`
}

// each calls do for each chosen request, oldest first. Those of a newer format are
// passed over; then the error is the first one's.
func (c Chosen) each(ctx context.Context, b *broker.Broker, do func(sequence uint64, q broker.Quarantined) error) error {
	filter := "quarantine.>"
	if c.Type != "" {
		t, err := callback.ParseType(c.Type)
		if err != nil {
			return err
		}
		filter = "quarantine." + string(t)
	}
	var newer error
	err := b.Read(ctx, filter, func(m broker.Message) error {
		q, err := broker.NewQuarantined(m)
		if errors.Is(err, format.ErrNewer) {
			newer = cmp.Or(newer, err)
			return nil
		}
		if err != nil || c.Reason != "" && c.Reason != q.Reason {
			return err
		}
		return do(m.Sequence, q)
	})
	return cmp.Or(err, newer)
}

// QuarantineList is the command quarantine list.
type QuarantineList struct {
	Chosen
	Listing
	NATS
}

// Run lists.
func (c *QuarantineList) Run(ctx context.Context, env Env) error {
	b, err := c.connect(env.newToolLogger("quarantine"), "quarantine")
	if err != nil {
		return err
	}
	defer b.Close()
	return c.list(env.Out, "NUMBER\tRECEIVED\tTYPE\tREASON\tBYTES\tBODY", func(show func(entry) error) error {
		return c.each(ctx, b, func(sequence uint64, q broker.Quarantined) error { return show(quarantinedEntry(sequence, q)) })
	})
}

func quarantinedEntry(sequence uint64, q broker.Quarantined) entry {
	received := q.Received.UTC()
	return entry{
		columns: fmt.Sprintf("%d\t%s\t%s\t%s\t%d\t%.40q", sequence, received.Format(time.RFC3339), q.Type, q.Reason, len(q.Body), q.Body),
		object: struct {
			Number   uint64            `json:"number"`
			Received time.Time         `json:"received"`
			Type     callback.Type     `json:"type"`
			Reason   string            `json:"reason"`
			Header   map[string]string `json:"header"`
			Body     []byte            `json:"body"` // base64: it may be anything
		}{sequence, received, q.Type, q.Reason, q.Header, q.Body},
	}
}

// QuarantineShow is the command quarantine show.
type QuarantineShow struct {
	Number uint64 `arg:"" help:"As listed."`
	NATS
}

// Run prints the body.
func (c *QuarantineShow) Run(ctx context.Context, env Env) error {
	b, err := c.connect(env.newToolLogger("quarantine"), "quarantine")
	if err != nil {
		return err
	}
	defer b.Close()
	q, err := b.FromQuarantine(ctx, c.Number)
	if err != nil {
		return err
	}
	if _, err := env.Out.Write(q.Body); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// QuarantineReplay is the command quarantine replay.
type QuarantineReplay struct {
	Chosen
	NATS
}

// errStays reports requests that a replay could not use either.
var errStays = errors.New("some requests stay in quarantine")

// Run publishes what is valid, by the same acceptance as the gateway's.
func (c *QuarantineReplay) Run(ctx context.Context, env Env) error {
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	b, err := c.connect(env.newToolLogger("quarantine"), "quarantine")
	if err != nil {
		return err
	}
	defer b.Close()
	stays := false
	err = c.each(ctx, b, func(sequence uint64, q broker.Quarantined) error {
		what, err := replay(ctx, b, contracts, sequence, q)
		if err != nil {
			what, stays = "stays: "+err.Error(), true
		}
		return write(env.Out, fmt.Sprintf("%d  %s  %s", sequence, q.Type, what))
	})
	if err == nil && stays {
		return errStays
	}
	return err
}

// replay publishes one request and deletes it, or says why it stays.
func replay(ctx context.Context, b *broker.Broker, contracts callback.Contracts, sequence uint64, q broker.Quarantined) (what string, err error) {
	if q.Reason == broker.ReasonConflict {
		return "", errors.New("it contradicts the callback that was stored")
	}
	contract := contracts[q.Type]
	if contract == nil {
		return "", fmt.Errorf("there is no type %s", q.Type)
	}
	cb, err := contract.Decode(q.Body)
	if err != nil {
		return "", err
	}
	cb.Received = q.Received
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	_, err = b.FromQuarantine(ctx, sequence)
	if errors.Is(err, broker.ErrNotKept) {
		return "was deleted since it was read", nil
	}
	if err != nil {
		return "", err
	}
	published, err := b.Publish(ctx, cb)
	switch {
	case err != nil:
		return "", err
	case published == broker.Conflict:
		return "", errors.New("it contradicts the callback that is stored")
	case published == broker.Duplicate:
		what = "is stored already: deleted here"
	default:
		what = "published: deleted here"
	}
	if err := b.DropFromQuarantine(ctx, sequence); err != nil && !errors.Is(err, broker.ErrNotKept) { // another replay was faster
		return "", err
	}
	return what, nil
}

// QuarantineDelete is the command quarantine delete.
type QuarantineDelete struct {
	Numbers []uint64 `arg:"" help:"As listed."`
	NATS
}

// Run deletes.
func (c *QuarantineDelete) Run(ctx context.Context, env Env) error {
	b, err := c.connect(env.newToolLogger("quarantine"), "quarantine")
	if err != nil {
		return err
	}
	defer b.Close()
	for _, number := range c.Numbers {
		if err := b.DropFromQuarantine(ctx, number); err != nil {
			return err
		}
	}
	return nil
}
