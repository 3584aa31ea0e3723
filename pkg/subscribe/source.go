package subscribe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"fanfare/pkg/broker"
)

// source is where deliveries come from. It outlives its durable and its connection.
type source struct {
	logger *slog.Logger
	open   func(context.Context) (d *broker.Durable, created bool, err error)

	mu      sync.Mutex // held while a durable is opened: one worker does it for all
	durable *broker.Durable
	begun   bool // a durable was opened before

	trouble trouble
}

// next waits for one message; nil means that none came.
func (s *source) next(ctx context.Context) (*broker.Delivery, error) {
	durable, err := s.opened(ctx)
	if err != nil {
		s.report(ctx, err)
		return nil, err
	}
	d, err := durable.Next(fetchWait)
	if errors.Is(err, broker.ErrNoDurable) {
		s.lost(durable)
	}
	s.report(ctx, err)
	return d, err
}

// opened returns the durable, which is opened if it is not.
func (s *source) opened(ctx context.Context) (*broker.Durable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable != nil {
		return s.durable, nil
	}
	durable, created, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case created && s.begun:
		s.logger.WarnContext(ctx, "durable was lost and is created anew: what was not settled lately comes again")
	case created:
		s.logger.InfoContext(ctx, "durable created")
	}
	s.durable, s.begun = durable, true
	return durable, nil
}

// lost forgets a durable that is gone, if no other worker has done so.
func (s *source) lost(durable *broker.Durable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable == durable {
		s.durable = nil
	}
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

// troubleEvery bounds how often it is said that fetching fails: some workers may
// fail while others do not.
const troubleEvery = 30 * time.Second

// trouble tells when something goes wrong and when it is over.
type trouble struct {
	mu     sync.Mutex
	is     bool
	spoken time.Time
}

// begins reports whether it should be said that something goes wrong.
func (t *trouble) begins() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.is || time.Since(t.spoken) < troubleEvery {
		return false
	}
	t.is, t.spoken = true, time.Now()
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
