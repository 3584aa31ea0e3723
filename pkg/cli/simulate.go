package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/result"
	"fanfare/pkg/simulate"
)

// Simulate is the command simulate.
type Simulate struct {
	Target       string        `default:"http://127.0.0.1:8080" help:"Gateway to call back."`
	MediaListen  string        `default:"127.0.0.1:8089" help:"Where the media are served."`
	MediaURL     string        `placeholder:"URL" help:"How consumers reach the media (default: http:// and the address that they are served on)."`
	Tasks        int           `default:"100" help:"Tasks to play."`
	Rate         float64       `default:"20" help:"Tasks begun per second."`
	Seed         uint64        `help:"Gives the same tasks again (default: drawn at random, and told)."`
	Speed        float64       `default:"20" help:"How many times faster than the provider's the pauses pass; its timeouts stay."`
	Settle       time.Duration `help:"How long nothing may move, polls included, before what is not there counts as missing; 1h at most (default: 3m, and 5m if tasks are announced)."`
	HMACKeyFile  string        `placeholder:"FILE" type:"path" help:"File with the key to sign with (default: callbacks are not signed)."`
	URLTokenFile string        `name:"url-token-file" placeholder:"FILE" type:"path" help:"File with the token that callback URLs end in (default: none)."`
	Missed       `prefix:""`
	Hostilities  `prefix:""`
	NATS
}

// Hostilities holds the switches of what makes a provider hard to bear.
type Hostilities struct {
	Duplicates bool `default:"true" negatable:"" help:"Send callbacks again, also at the same instant or written differently."`
	Reordering bool `default:"true" negatable:"" help:"Send final stages before earlier ones."`
	Late       bool `default:"true" negatable:"" help:"Send stages long after the final one."`
	Failures   bool `default:"true" negatable:"" help:"Let tasks fail, with every code."`
	Recoveries bool `default:"true" negatable:"" help:"Let failed tasks succeed after all."`
	Spellings  bool `default:"true" negatable:"" help:"Send the task ID as task_id, taskId or both."`
	Extras     bool `default:"true" negatable:"" help:"Add members that nobody documented."`

	MediaFaults `prefix:"media-"`
}

func (h Hostilities) hostility() simulate.Hostility {
	return simulate.Hostility{
		NoDuplicates: !h.Duplicates,
		NoReordering: !h.Reordering,
		NoLate:       !h.Late,
		NoFailures:   !h.Failures,
		NoRecoveries: !h.Recoveries,
		NoSpellings:  !h.Spellings,
		NoExtras:     !h.Extras,

		NoMediaFaults: h.off(),
	}
}

// Run plays the tasks, waits for their results and prints how they fared.
func (c *Simulate) Run(ctx context.Context, env Env) error {
	logger := env.newLogger("simulate")
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	b, err := c.connect(logger, "simulate")
	if err != nil {
		return err
	}
	defer b.Close()
	key, err := readSecret(c.HMACKeyFile)
	if err != nil {
		return err
	}
	token, err := readSecret(c.URLTokenFile)
	if err != nil {
		return err
	}
	results := newResults(b, contracts)
	simulator, err := simulate.New(simulate.Options{
		Logger:      logger,
		HMACKey:     []byte(key),
		Path:        func(t callback.Type) string { return strings.TrimSuffix("/callbacks/"+string(t)+"/"+token, "/") },
		Results:     results,
		Stored:      results.Stored,
		Announce:    c.announcer(b),
		Target:      c.Target,
		MediaListen: c.MediaListen,
		MediaURL:    c.MediaURL,
		Tasks:       c.Tasks,
		Rate:        c.Rate,
		Seed:        c.Seed,
		Speed:       c.Speed,
		Settle:      c.Settle,
		Hostility:   c.hostility(),
		Missed:      c.missed(),
		Progress:    env.Err,
	})
	if err != nil {
		return err
	}
	return play(ctx, simulator, env.Out)
}

// play runs a simulation and prints its report.
func play(ctx context.Context, simulator *simulate.Simulator, out io.Writer) error {
	report, err := simulator.Run(ctx)
	if err := report.WriteTable(out); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err != nil {
		return err
	}
	return report.Err()
}

// results is what a simulation reads of the broker.
type results struct {
	*broker.Results
	broker *broker.Broker
	types  []callback.Type
}

func newResults(b *broker.Broker, contracts callback.Contracts) results {
	return results{b.Results(), b, contracts.Types()}
}

// Result implements simulate.Results.
func (r results) Result(ctx context.Context, t callback.Type, id callback.TaskID) (result.Document, bool, error) {
	return r.Get(ctx, t, id)
}

// Activity implements simulate.Results.
func (r results) Activity(ctx context.Context) (simulate.Activity, error) {
	a, err := r.broker.Activity(ctx, r.types)
	return simulate.Activity(a), err
}

// DeadLetters implements simulate.Results.
func (r results) DeadLetters(ctx context.Context, show func(simulate.DeadLetter)) error {
	return r.broker.DeadLetters(ctx, "", func(l broker.DeadLetter) error {
		show(simulate.DeadLetter{Type: l.Type, TaskID: l.TaskID, Stage: l.Stage, Reason: l.Reason})
		return nil
	})
}
