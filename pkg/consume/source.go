package consume

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"fanfare/pkg/broker"
)

// source is where a runner's deliveries come from. It outlives its durable and
// its connection.
type source struct {
	mu      sync.Mutex // held while a durable is opened: one worker does it for all
	durable *broker.Durable
	wait    time.Duration // before the durable is looked for again
	nextTry time.Time
	silent  time.Time // since when the server has answered no fetch; zero: it does
	trouble trouble
}

// fetch waits for one message; nil means that none came. It opens the durable if
// there is none, and another connection if the server has long kept silent.
func (r *Runner) fetch(ctx context.Context) (*broker.Delivery, error) {
	durable, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	d, err := durable.Next(fetchWait)
	switch {
	case err == nil:
		r.fetched()
	case errors.Is(err, broker.ErrNoDurable):
		r.lost(durable, err)
	case errors.Is(err, broker.ErrSilent):
		r.unanswered(durable, err)
	default:
		r.report(err)
	}
	return d, err
}

// open returns the durable. One that was deleted is created again; one that
// cannot be had is looked for after 1 s, then 2, 4 … up to 30.
func (r *Runner) open(ctx context.Context) (*broker.Durable, error) {
	s := &r.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable != nil {
		return s.durable, nil
	}
	if err := pause(ctx, time.Until(s.nextTry)); err != nil {
		return nil, err
	}
	durable, created, err := r.broker.Durable(ctx, r.contract.Type)
	if err != nil {
		s.wait = min(max(2*s.wait, time.Second), openPauseMax)
		s.nextTry = time.Now().Add(s.wait)
		r.report(err)
		return nil, err
	}
	if created {
		r.logger.Warn("the durable was missing and is created anew: what the stream holds comes again", "durable", r.contract.Type)
	}
	s.durable, s.wait, s.nextTry = durable, 0, time.Time{}
	r.progress.fetched()
	return durable, nil
}

// lost forgets a durable that is gone, if no other worker has done so.
func (r *Runner) lost(durable *broker.Durable, err error) {
	s := &r.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable == durable {
		s.durable = nil
	}
	r.report(err)
}

// unanswered gives a silent server up after a while.
func (r *Runner) unanswered(durable *broker.Durable, err error) {
	s := &r.source
	s.mu.Lock()
	defer s.mu.Unlock()
	r.report(err)
	switch {
	case s.silent.IsZero():
		s.silent = time.Now()
	case time.Since(s.silent) > maxSilence:
		s.silent = time.Time{}
		r.logger.Warn("the server answers no fetch: connecting anew", "durable", r.contract.Type)
		if err := durable.Reconnect(); err != nil {
			r.logger.Warn("no new connection", "error", err)
		}
	}
}

func (r *Runner) fetched() {
	s := &r.source
	s.mu.Lock()
	s.silent = time.Time{}
	s.mu.Unlock()
	r.progress.fetched()
	if s.trouble.ends() {
		r.logger.Info("fetching again", "durable", r.contract.Type)
	}
}

func (r *Runner) report(err error) {
	if r.source.trouble.begins() {
		r.logger.Warn("cannot fetch", "durable", r.contract.Type, "error", err)
	}
}

// trouble tells when something goes wrong and when it is over, and bounds how
// often that is said: some workers may fail while others do not.
type trouble struct {
	mu     sync.Mutex
	is     bool
	spoken *rate.Limiter
}

func newTrouble() trouble { return trouble{spoken: rate.NewLimiter(rate.Every(30*time.Second), 2)} }

// begins reports whether it should be said that something goes wrong.
func (t *trouble) begins() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.is || !t.spoken.Allow() {
		return false
	}
	t.is = true
	return true
}

// ends reports whether it should be said that it is over.
func (t *trouble) ends() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.is
	t.is = false
	return was
}
