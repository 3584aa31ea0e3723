package cli

import (
	"context"
	"fmt"
	"io"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/simulate"
)

// What the demonstration plays: enough to watch, for about ten minutes.
const (
	demoTasks = 300
	demoRate  = 0.5 // tasks begun per second
)

// demo plays the provider beside the rest. It ends before the rest does.
type demo struct {
	simulator *simulate.Simulator
	out       io.Writer
}

// addDemo adds the demonstration to a process, and lets the consumers fetch from
// its media server and nothing else of this machine.
func (c *Standalone) addDemo(p *process, contracts callback.Contracts, b *broker.Broker, target string, out io.Writer) error {
	results := newResults(b, contracts)
	simulator, err := simulate.New(simulate.Options{
		Logger:  p.logger,
		Results: results,
		Stored:  results.Stored,
		Target:  "http://" + target,
		// Any port: whatever else runs on this machine is not in the way.
		MediaListen: "127.0.0.1:0",
		Tasks:       demoTasks,
		Rate:        demoRate,
		// What heals shows how a consumer copes. What costs a file leaves dead
		// letters behind, which in a newcomer's first minutes look like something
		// that has gone wrong.
		Hostility: simulate.Hostility{NoMediaFaults: simulate.LastingMediaFaults()},
	})
	if err != nil {
		return err
	}
	c.EgressAllow = append(c.EgressAllow, simulator.MediaAddr())
	p.add(&demo{simulator, out})
	return nil
}

// Run plays until the tasks are done, and prints how they fared; that is no
// reason to stop the rest. If ctx ends first, there is nothing to say.
func (d *demo) Run(ctx context.Context) error {
	report, err := d.simulator.Run(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // its error says no more than that ctx ended
	}
	if err != nil {
		return err
	}
	if err := report.WriteTable(d.out); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
