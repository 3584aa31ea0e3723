package simulate

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	barInterval = 200 * time.Millisecond
	logInterval = 10 * time.Second
)

// progress shows how far a run is: as a bar on a terminal, otherwise as a log
// line now and then.
type progress struct {
	logger *slog.Logger
	writer io.Writer // nil: show nothing
}

// follow shows how done approaches total until the returned function is called.
func (p progress) follow(what string, total int64, done func() int64) (stop func()) {
	if p.writer == nil {
		return func() {}
	}
	interval, show, end := logInterval, p.line(what, total), func() {}
	if isTerminal(p.writer) {
		interval = barInterval
		show, end = p.bar(what, total)
	}
	quit := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				show(done())
			case <-quit:
				return
			}
		}
	})
	return func() {
		close(quit)
		shown.Wait()
		show(done())
		end()
	}
}

func (p progress) line(what string, total int64) (show func(int64)) {
	return func(n int64) { p.logger.Info("simulating", "phase", what, "done", n, "total", total) }
}

// bar returns how to update a bar and how to leave it. That a terminal cannot
// be written to is no reason to stop.
func (p progress) bar(what string, total int64) (show func(int64), end func()) {
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.writer),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetPredictTime(false),
	)
	return func(n int64) { _ = bar.Set64(min(n, total)) },
		func() { _, _ = fmt.Fprintln(p.writer) }
}

// isTerminal reports whether w is a file that somebody looks at.
func isTerminal(w io.Writer) bool {
	file, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}
