package cli

import (
	"context"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/ledger"
	"fanfare/pkg/simulate"
)

// Missed holds the flags of callbacks that do not come.
type Missed struct {
	Drop        float64 `default:"0" help:"Share of the tasks whose final callback never comes, such as 0.3: only who asks learns of their end, at the details endpoints beside the media."`
	Delay       float64 `default:"0" help:"Share of the tasks whose final callback comes only when the provider's last retry is long past."`
	Race        float64 `default:"0" help:"Share of the tasks whose final callback comes at the moment at which a poll finds it, or after 10 minutes without one."`
	PollErrors  float64 `default:"0" help:"Share of the polls that are not answered as they should, at most 0.5; no task more than twice."`
	PollBudget  float64 `default:"10" help:"Polls per second that are borne. More than that in 10 s, with one second's and 40 to spare, fails the run; so do more than 3 per second for one task."`
	Announce    bool    `help:"Announce each task, as whoever submits it does, for a reconciler whose --provider-url has the host of the media (default: only with --drop, --delay, --race or --poll-errors)."`
	Unannounced float64 `default:"0.2" help:"Share of the tasks with an earlier stage that are not announced all the same: that stage's callback tells of them."`
}

func (m Missed) missed() simulate.Missed {
	return simulate.Missed{
		Drop: m.Drop, Delay: m.Delay, Race: m.Race, Unannounced: m.Unannounced,
		PollErrors: m.PollErrors, PollBudget: m.PollBudget,
	}
}

// announcer returns what announces tasks, or nil. Where all callbacks come, nobody
// needs to know of them, and announcements that no reconciler looks at would lie on
// the stream for a month.
func (m Missed) announcer(b *broker.Broker) func(context.Context, simulate.Submission) error {
	if !m.Announce && m.Drop+m.Delay+m.Race+m.PollErrors == 0 {
		return nil
	}
	return func(ctx context.Context, s simulate.Submission) error {
		_, err := b.Announce(ctx, s.Type, ledger.Announcement{
			TaskID:      s.TaskID,
			SubmittedAt: s.At,
			Provider:    s.Provider, // or a reconciler of the real provider would ask that
			Deadline:    s.At.Add(simulatedDeadline),
		})
		return err
	}
}

// simulatedDeadline is when tasks of a run that was cut short are asked for no more.
const simulatedDeadline = time.Hour

// Stored shows the callbacks that are stored.
func (r results) Stored(ctx context.Context, since time.Time, show func(simulate.Identity)) error {
	return r.broker.Identities(ctx, since, func(i broker.Identity) { show(simulate.Identity(i)) })
}
