package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"fanfare/pkg/callback"
)

// maxAnswerBytes bounds how much of an answer is read; nothing depends on it.
const maxAnswerBytes = 64 << 10

// provider sends the callbacks, as the real one does: it waits so long for an
// answer, takes 200 and nothing else for one, and comes again a few times.
type provider struct {
	logger *slog.Logger
	client *http.Client
	target string
	path   func(callback.Type) string
	key    []byte // of signatures; none: unsigned
	speed  float64
	tally  *tally

	patience time.Duration   // how long an answer may take
	hurry    time.Duration   // the same for flavours that are hurried
	retries  []time.Duration // pauses before the same request again, in the provider's time
	raceWait time.Duration   // how long a callback at least waits for the poll that it is to race
}

// tally counts what was sent.
type tally struct {
	callbacks atomic.Int64 // sent at least once
	requests  atomic.Int64
	ok        atomic.Int64 // requests answered 200
	answered  atomic.Int64 // callbacks that a request of was answered 200
	gaveUp    atomic.Int64 // callbacks that none was
}

// newProvider takes over the options that concern sending.
func newProvider(opts Options) *provider {
	transport := &http.Transport{ // no proxy from the environment: the target is near
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
	return &provider{
		logger: opts.Logger,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		target:   opts.Target,
		path:     opts.Path,
		key:      opts.HMACKey,
		speed:    opts.Speed,
		tally:    new(tally),
		patience: 15 * time.Second,
		hurry:    10 * time.Second,
		retries:  []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
		raceWait: 10 * time.Minute,
	}
}

// ledger holds what became of one task's callbacks.
type ledger struct {
	sent, answered []atomic.Bool
}

// play sends a task's whole life. A step begins when the requests of the one
// before have been answered or have failed; the retries of a step run beside
// the following ones.
func (p *provider) play(ctx context.Context, t task) {
	l := ledger{sent: make([]atomic.Bool, len(t.calls)), answered: make([]atomic.Bool, len(t.calls))}
	var deliveries sync.WaitGroup
	for _, s := range t.sendings {
		if !p.await(ctx, t, s.step) {
			break
		}
		t.record.reach(s.call)
		var first sync.WaitGroup
		for _, body := range s.bodies {
			first.Add(1)
			deliveries.Go(func() { p.deliver(ctx, t, s.call, body, &l, first.Done) })
		}
		first.Wait()
	}
	deliveries.Wait()
	if ctx.Err() != nil {
		return
	}
	for i := range l.sent {
		if !l.sent[i].Load() || l.answered[i].Load() {
			continue
		}
		t.record.giveUp(i)
		p.tally.gaveUp.Add(1)
		p.logger.Warn("callback given up", "type", t.flavour.typ, "task_id", t.id,
			"stage", t.calls[i].stage, "code", t.calls[i].code)
	}
}

// deliver sends one body until it is answered 200 or no retry is left. It calls
// begun once after the first request.
func (p *provider) deliver(ctx context.Context, t task, call int, body []byte, l *ledger, begun func()) {
	if l.sent[call].CompareAndSwap(false, true) {
		p.tally.callbacks.Add(1)
	}
	err := p.request(ctx, t, body)
	begun()
	for _, retry := range p.retries {
		if err == nil {
			break
		}
		p.logger.Debug("callback not taken", "type", t.flavour.typ, "task_id", t.id,
			"stage", t.calls[call].stage, "error", err)
		if !p.pause(ctx, retry) {
			return
		}
		err = p.request(ctx, t, body)
	}
	if err == nil && l.answered[call].CompareAndSwap(false, true) {
		p.tally.answered.Add(1)
	}
}

// request sends one body once and returns nil only for the answer 200.
func (p *provider) request(ctx context.Context, t task, body []byte) error {
	patience := p.patience
	if t.flavour.hurried {
		patience = p.hurry
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.target+p.path(t.flavour.typ), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", withoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "fanfare-simulate")
	if len(p.key) > 0 {
		sign(req.Header, p.key, t.id, time.Now())
	}
	p.tally.requests.Add(1)
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("send: %w", withoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerBytes)) // so that the connection can be used again
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	p.tally.ok.Add(1)
	return nil
}

// withoutURL unwraps an error of the client, whose text would repeat the URL
// and with it the token that its path may hold.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// await waits until a step begins. It is false if ctx ended first.
func (p *provider) await(ctx context.Context, t task, s step) bool {
	if !s.raced || t.record == nil {
		return p.pause(ctx, s.after)
	}
	timer := time.NewTimer(max(p.raceWait, time.Duration(float64(s.after)/p.speed)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.record.found:
		return pause(ctx, rand.N(raceSpread)) //nolint:gosec // no secret, and no part of the plan
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// pause waits so much of the provider's time. It is false if ctx ended first.
func (p *provider) pause(ctx context.Context, d time.Duration) bool {
	return pause(ctx, time.Duration(float64(d)/p.speed))
}

// pause waits for d. It is false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
