package simulate

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/callback"
	asking "fanfare/pkg/provider"
)

// poller asks for each task that it is told of until it knows the end, as long as
// nobody called.
type poller struct {
	t         *testing.T
	rcv       *receiver
	simulator *Simulator
	client    *asking.Client
	polling   sync.WaitGroup
	refuses   sync.Once
}

// announced is Options.Announce. The first time it fails.
func (p *poller) announced(ctx context.Context, s Submission) error {
	err := error(nil)
	p.refuses.Do(func() { err = errors.New("no responders") })
	if err == nil {
		p.follow(context.WithoutCancel(ctx), s)
	}
	return err
}

func (p *poller) follow(ctx context.Context, s Submission) {
	if s.Provider != p.simulator.MediaAddr() {
		p.t.Errorf("announced for %q", s.Provider)
	}
	p.polling.Go(func() {
		for ctx := ctx; ; {
			pause(ctx, 350*time.Millisecond) // no more than three a second
			if p.rcv.ended(s.Type, s.TaskID) {
				return
			}
			a, err := p.client.Details(ctx, p.rcv.contracts[s.Type], s.TaskID)
			if err != nil {
				p.t.Error(err)
				return
			}
			if a.Outcome == asking.Final || a.Outcome == asking.Progress {
				p.rcv.store(a.Callback)
			}
			if a.Outcome == asking.Final {
				return
			}
		}
	})
}

// ended reports whether the final callback of a task is there.
func (rcv *receiver) ended(t callback.Type, id callback.TaskID) bool {
	rcv.records.mu.Lock()
	defer rcv.records.mu.Unlock()
	return rcv.records.docs[callback.Key(t, id, "/")].Stage.Final()
}

// startPolled readies a run in which callbacks are missed and asked for.
func startPolled(t *testing.T, opts Options) *Simulator {
	t.Helper()
	rcv, target := newReceiver(t)
	p := &poller{t: t, rcv: rcv}
	opts.Announce = p.announced
	opts.Missed.PollBudget = 1000
	p.simulator = newTestSimulator(t, rcv, target, opts)
	p.simulator.judge.calm = 400 * time.Millisecond
	p.client = newClient(t, "http://"+p.simulator.MediaAddr())
	t.Cleanup(p.polling.Wait)
	return p.simulator
}

func TestRunWithMissedCallbacks(t *testing.T) {
	t.Parallel()
	s := startPolled(t, Options{Tasks: 120, Seed: 4, Missed: Missed{Drop: 0.3, Delay: 0.1, Race: 0.2, PollErrors: 0.2}})
	report := run(t, s)
	if report.Failed() || report.AsExpected != 120 || report.Announced != 120 {
		t.Errorf("%v: report %+v", report.Err(), report)
	}
	f, polls := report.Fates, report.Polls
	if f.Dropped == 0 || f.Delayed == 0 || f.Raced == 0 || polls.Faults == 0 || polls.After != 0 || polls.Told < int64(f.Dropped) || polls.Busiest == 0 || polls.MostOfATask < 2 {
		t.Errorf("report %+v", report)
	}
}

func TestRunFailsIfNobodyAsks(t *testing.T) {
	t.Parallel()
	s := startPolled(t, Options{Tasks: 20, Seed: 4, Settle: time.Second, Missed: Missed{Drop: 1}})
	s.tellTask = func(context.Context, Submission) error { return nil }
	if report := run(t, s); !errors.Is(report.Err(), ErrDeviations) || report.AsExpected != 0 || report.Polls.All != 0 || report.Announced != 20 {
		t.Errorf("%v: report %+v", report.Err(), report)
	}
}

func TestCallbacksStoredTwiceAreSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stored func(*plan, func(Identity)) error
		want   int
	}{
		"once": {func(p *plan, show func(Identity)) error {
			for i, id := range p.ids {
				show(Identity{p.outline(i).flavour.typ, id, "a"})
				show(Identity{p.outline(i).flavour.typ, id, "b"})
			}
			return nil
		}, 0},
		"twice": {func(p *plan, show func(Identity)) error {
			for range 2 {
				show(Identity{p.outline(0).flavour.typ, p.ids[0], "a"})
				show(Identity{"wav", "another-run's", "a"})
			}
			return nil
		}, 1},
		"unreadable": {func(*plan, func(Identity)) error { return errors.New("no responders") }, unread},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rcv, target := newReceiver(t)
			s := newTestSimulator(t, rcv, target, Options{Tasks: 3, Settle: time.Second, Hostility: Hostility{NoMediaFaults: faultNames()}})
			s.judge.stored = func(_ context.Context, since time.Time, show func(Identity)) error {
				if since.After(time.Now()) {
					t.Errorf("since %s", since)
				}
				return c.stored(s.plan, show)
			}
			if report := run(t, s); report.Twins != c.want || errors.Is(report.Err(), ErrTwins) != (c.want != 0) {
				t.Errorf("report %+v", report)
			}
		})
	}
}
