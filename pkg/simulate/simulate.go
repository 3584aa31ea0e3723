// Package simulate plays the provider: it serves media, sends whole lives of
// tasks as callbacks or keeps some of them to itself, tells those who ask how its
// tasks are, all as hostile as the real one may be, and in the end holds the
// recorded results and dead letters against what it planned.
//
// What is sent is a pure function of the options: the same seed gives the same
// bytes and expects the same results, whatever the order or the speed of what
// happens in between. The package submits nothing, needs no clock but for its
// pauses and for the budget of polls, and knows its receiver only by HTTP and by
// its [Options].
package simulate

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// maxInFlight bounds how many tasks are being played at once.
const maxInFlight = 1024

// Simulator is one run of the simulated provider.
type Simulator struct {
	logger   *slog.Logger
	plan     *plan
	limiter  *rate.Limiter
	provider *provider
	media    *mediaServer
	canary   *canary
	details  *details
	judge    *judge
	progress progress

	tellTask  func(context.Context, Submission) error // nil: tasks are not announced
	host      string                                  // at which details are served
	announced atomic.Int64
}

// New validates the options and listens for media requests; it starts nothing.
// Either Run or Close must be called.
func New(opts Options) (*Simulator, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", opts.MediaListen)
	if err != nil {
		return nil, fmt.Errorf("simulate: listen for media: %w", err)
	}
	base, err := opts.mediaBase(listener.Addr())
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	u, err := url.Parse(base)
	if err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("simulate: parse MediaURL: %w", err)
	}
	canary, err := newCanary()
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	plan := newPlan(opts.Seed, opts.Tasks, base, opts.Hostility)
	plan.missed = opts.Missed
	details, err := newDetails(opts.Logger, plan, u.Path)
	if err != nil {
		_ = listener.Close()
		canary.stop()
		return nil, err
	}
	media := newMediaServer(opts.Logger, listener, base, u.Path, canary)
	media.details = details
	judge := newJudge(opts)
	judge.polled = details.useful
	return &Simulator{
		logger:   opts.Logger,
		plan:     plan,
		limiter:  rate.NewLimiter(rate.Limit(opts.Rate), 1),
		provider: newProvider(opts),
		media:    media,
		canary:   canary,
		details:  details,
		judge:    judge,
		progress: progress{logger: opts.Logger, writer: opts.Progress},
		tellTask: opts.Announce,
		host:     u.Host,
	}, nil
}

// MediaAddr is the address on which media are served.
func (s *Simulator) MediaAddr() string {
	return s.media.listener.Addr().String()
}

// Close gives the media address back if Run was never called. After Run there
// is nothing left to close.
func (s *Simulator) Close() error {
	s.canary.stop()
	if err := s.media.listener.Close(); err != nil {
		return fmt.Errorf("simulate: close media listener: %w", err)
	}
	return nil
}

// Run plays every task and judges the results. It blocks until that is done or
// ctx ends; the report then says how far it came. A run that found fault returns
// no error: see [Report.Failed]. Run may be called once.
func (s *Simulator) Run(ctx context.Context) (Report, error) {
	started := time.Now()
	s.judge.begun = started.Add(-clockSkew)
	s.logger.Info("simulation begins", "seed", s.plan.seed, "tasks", len(s.plan.ids), "media", s.MediaAddr())
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(s.media.serve)
	group.Go(s.canary.watch)
	group.Go(func() error {
		defer s.canary.stop()
		defer s.media.stop(groupCtx)
		defer s.provider.client.CloseIdleConnections()
		if err := s.deliver(groupCtx); err != nil {
			return err
		}
		return s.decide(groupCtx)
	})
	err := group.Wait()
	return s.report(time.Since(started)), err
}

// deliver plays every task, a bounded number at once.
func (s *Simulator) deliver(ctx context.Context) error {
	stop := s.progress.follow("callbacks delivered", s.plan.callbacks(), func() int64 {
		return s.provider.tally.answered.Load() + s.provider.tally.gaveUp.Load()
	})
	defer stop()
	tasks, tasksCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(maxInFlight)
	var cut error
	for i := range s.plan.ids {
		if cut = s.limiter.Wait(tasksCtx); cut != nil {
			break
		}
		tasks.Go(func() error { return s.play(tasksCtx, i) })
	}
	if err := tasks.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		cut = context.Cause(ctx)
	}
	if cut != nil {
		return fmt.Errorf("simulate: deliver callbacks: %w", cut)
	}
	return nil
}

// play offers one task's media and sends its callbacks.
func (s *Simulator) play(ctx context.Context, index int) error {
	t, err := s.plan.task(index)
	if err != nil {
		return err
	}
	expected, err := t.expect()
	if err != nil {
		return err
	}
	s.judge.findings[index].want = expected
	s.media.offer(t.assets)
	t.record = s.details.open(t)
	var announcing sync.WaitGroup
	announcing.Go(func() { s.announce(ctx, t) })
	defer announcing.Wait()
	s.provider.play(ctx, t)
	return nil
}

// decide waits for the results.
func (s *Simulator) decide(ctx context.Context) error {
	stop := s.progress.follow("results as expected", int64(len(s.plan.ids)), s.judge.met.Load)
	defer stop()
	return s.judge.run(ctx)
}

func (s *Simulator) report(took time.Duration) Report {
	tally := s.provider.tally
	polls, busiest, most := s.details.counts()
	r := Report{
		Seed:      s.plan.seed,
		Tasks:     len(s.plan.ids),
		Callbacks: tally.callbacks.Load(),
		Requests:  tally.requests.Load(),
		OK200:     tally.ok.Load(),
		Repeats:   tally.requests.Load() - tally.callbacks.Load(),
		GaveUp:    tally.gaveUp.Load(),
		Unsettled: s.judge.unsettled,
		Trapped:   s.canary.touched.Load(),
		Twins:     s.judge.twins,
		Announced: s.announced.Load(),
		Polls: Polls{
			All: polls.polls, Faults: polls.faults, Told: polls.told, After: polls.after, Excess: polls.excess,
			AtOnce: polls.twins, Keyless: polls.keyless, Busiest: busiest, MostOfATask: most,
		},
		Duration: took,
	}
	r.Fates = s.plan.fates()
	r.MediaRequests, r.MediaFaults = s.media.tally()
	r.count(s.judge.findings)
	return r
}
