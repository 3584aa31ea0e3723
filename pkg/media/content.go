package media

import (
	"context"
	"fmt"
	"io"
	"time"
)

// content reads an answer's body, tells how much has moved, and turns every
// failure into a [*FetchError].
type content struct {
	attempt *attempt
	ctx     context.Context //nolint:containedctx // io.Reader leaves no other way to learn why a read was cancelled
	paced   *paced
	left    int64 // bytes that the size limit still allows
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.paced.Read(p)
	if n > 0 {
		c.attempt.moved(n)
	}
	c.left -= int64(n)
	switch {
	case c.left < 0:
		limit := c.attempt.fetcher.options.MaxBytes
		return 0, c.attempt.fail(ReasonTooLarge, fmt.Sprintf("over %d bytes", limit))
	case err == nil, err == io.EOF: //nolint:errorlint // an io.Reader's own end is io.EOF itself, unwrapped
		return n, err
	default:
		return n, c.attempt.fail(Classify(c.ctx, err))
	}
}

// paced reads from a source and calls tooSlow once the source has kept its
// reader waiting for a whole window without giving what the window asks for.
// Only the waiting counts: a reader that is itself slow is not held against the
// source. A window ends early when its bytes have come.
type paced struct {
	source  io.Reader
	tooSlow func()
	window  time.Duration
	quota   int64 // bytes that a window asks for

	timer  *time.Timer // armed during a read
	waited time.Duration
	came   int64
}

func newPaced(source io.Reader, window time.Duration, perSecond int64, tooSlow func()) *paced {
	quota := max(1, int64(window.Seconds()*float64(perSecond)))
	return &paced{source: source, tooSlow: tooSlow, window: window, quota: quota}
}

func (p *paced) Read(b []byte) (int, error) {
	if left := max(0, p.window-p.waited); p.timer == nil {
		p.timer = time.AfterFunc(left, p.tooSlow)
	} else {
		p.timer.Reset(left)
	}
	start := time.Now()
	n, err := p.source.Read(b)
	p.timer.Stop()
	p.waited += time.Since(start)
	p.came += int64(n)
	if p.came >= p.quota {
		p.waited, p.came = 0, 0
	}
	return n, err
}
