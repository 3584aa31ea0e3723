package cli

import (
	"context"
	"fmt"

	"golang.org/x/time/rate"

	"fanfare/pkg/broker"
)

// DeadLetterReplay is the command dead-letter replay.
type DeadLetterReplay struct {
	Several
	Rate float64 `default:"10" help:"Dead letters replayed per second at most."`
	NATS
}

// Run replays. Every dead letter is deleted as soon as its redelivery is stored,
// so a run that was ended is gone on with by another.
func (c *DeadLetterReplay) Run(ctx context.Context, env Env) error {
	if err := c.validate(); err != nil {
		return err
	}
	if !(c.Rate > 0) { // which is not c.Rate <= 0 for what is no number
		return fmt.Errorf("--rate %v: want more than 0", c.Rate)
	}
	b, err := c.connect(env.newToolLogger("dead-letter"), "dead-letter")
	if err != nil {
		return err
	}
	defer b.Close()
	return c.each(ctx, env, b, action{done: "redelivered", rate: rate.Limit(c.Rate), do: b.Redeliver})
}

// DeadLetterDelete is the command dead-letter delete.
type DeadLetterDelete struct {
	Several
	NATS
}

// Run deletes.
func (c *DeadLetterDelete) Run(ctx context.Context, env Env) error {
	if err := c.validate(); err != nil {
		return err
	}
	b, err := c.connect(env.newToolLogger("dead-letter"), "dead-letter")
	if err != nil {
		return err
	}
	defer b.Close()
	return c.each(ctx, env, b, action{done: "deleted", rate: rate.Inf, do: func(ctx context.Context, number uint64) (broker.DeadLetter, error) {
		letter, err := b.FromDeadLetters(ctx, number)
		if err != nil {
			return letter, err
		}
		return letter, b.DropFromDeadLetters(ctx, number)
	}})
}
