package deliver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"fanfare/pkg/broker"
)

const (
	openPause    = time.Second      // before the server has quite forgotten a durable that was deleted
	openPauseMax = 30 * time.Second // between looks for one that cannot be had; doubled each time
	maxSilence   = 20 * time.Second // of the server towards every fetch, before another connection is made
)

// source is where deliveries come from. It outlives its durable and its connection.
type source struct {
	logger       *slog.Logger
	subscription *broker.Subscription
	begun        chan struct{} // closed once a durable was opened

	mu      sync.Mutex // held while a durable is opened: one worker does it for all
	durable *broker.Durable
	wait    time.Duration // before the durable is looked for again
	nextTry time.Time
	silent  time.Time // since when the server has answered no fetch; zero: it does

	answered atomic.Int64 // when it last did, in Unix nanoseconds; 0: never. It is asked while a durable is opened

	trouble trouble
}

// next waits for one message; nil means that none came. It opens the durable if there
// is none, and another connection if the server has long kept silent.
func (s *source) next(ctx context.Context) (*broker.Delivery, error) {
	durable, err := s.open(ctx)
	if err != nil {
		s.report(ctx, err)
		return nil, err
	}
	d, err := durable.Next(fetchWait)
	switch {
	case err == nil:
		s.heard()
	case errors.Is(err, broker.ErrNoDurable):
		s.lost(durable)
	case errors.Is(err, broker.ErrSilent):
		s.unheard(durable)
	}
	s.report(ctx, err)
	return d, err
}

// open returns the durable. One that cannot be had is looked for after 1 s, then 2,
// 4 … up to 30.
func (s *source) open(ctx context.Context) (*broker.Durable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable != nil {
		return s.durable, nil
	}
	if err := Pause(ctx, time.Until(s.nextTry)); err != nil {
		return nil, err
	}
	durable, created, err := s.subscription.Open(ctx)
	if err != nil {
		s.wait = min(max(2*s.wait, openPause), openPauseMax)
		s.nextTry = time.Now().Add(s.wait)
		return nil, err
	}
	s.opened(ctx, created)
	s.durable, s.wait = durable, 0
	s.answered.Store(time.Now().UnixNano())
	return durable, nil
}

func (s *source) opened(ctx context.Context, created bool) {
	select {
	case <-s.begun:
		if created {
			s.logger.WarnContext(ctx, "durable was lost and is created anew: what was settled lately comes again")
		}
	default:
		close(s.begun)
		if created {
			s.logger.InfoContext(ctx, "durable created")
		}
	}
}

// lost forgets a durable that is gone, if no other worker has done so.
func (s *source) lost(durable *broker.Durable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable == durable {
		s.durable, s.nextTry = nil, time.Now().Add(openPause)
	}
}

func (s *source) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = time.Time{}
	s.answered.Store(time.Now().UnixNano())
}

// unheard gives a silent server up after a while.
func (s *source) unheard(durable *broker.Durable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.silent.IsZero():
		s.silent = time.Now()
	case time.Since(s.silent) > maxSilence:
		s.silent = time.Time{}
		s.logger.Warn("the server answers no fetch: connecting anew")
		if err := durable.Reconnect(); err != nil {
			s.logger.Warn("no new connection", "error", err)
		}
	}
}

// Answered is when the server last answered a fetch, or showed that there is a
// durable; zero if it never did.
func (l *Loop) Answered() time.Time {
	at := l.source.answered.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

// report logs trouble with fetching when it begins and when it ends.
func (s *source) report(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil && s.trouble.begins():
		s.logger.WarnContext(ctx, "cannot fetch", "error", err)
	case err == nil && s.trouble.ends():
		s.logger.InfoContext(ctx, "fetching again")
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
