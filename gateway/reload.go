package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	reloadPause      = 300 * time.Millisecond // between two looks at the files
	maxSecretBytes   = 64 << 10               // of one file
	shortSecretBytes = 24                     // below it, a secret is warned of
)

// reloaded is a value made of files, and made anew when they change. A change
// that cannot be used is reported and leaves the value as it was.
type reloaded[T any] struct {
	what   string // for errors and the log
	paths  []string
	parse  func(contents [][]byte) (T, error)
	logger *slog.Logger

	contents [][]byte // of which the value is made
	changed  [][]byte // as last seen, while it differs: a file may be half written
	refused  [][]byte // what could not be used
	refusal  error    // why
	value    atomic.Pointer[T]
}

// reload reads the files for the first time.
func reload[T any](logger *slog.Logger, what string, paths []string, parse func([][]byte) (T, error)) (*reloaded[T], error) {
	r := &reloaded[T]{what: what, paths: paths, parse: parse, logger: logger}
	contents, err := readFiles(paths)
	if err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", what, err)
	}
	value, err := parse(contents)
	if err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", what, err)
	}
	r.contents = contents
	r.value.Store(&value)
	return r, nil
}

// get returns the value as of now.
func (r *reloaded[T]) get() T { return *r.value.Load() }

// run watches the files until ctx ends. It looks by itself, and at once when
// asked to by now.
func (r *reloaded[T]) run(ctx context.Context, now <-chan os.Signal) {
	ticker := time.NewTicker(reloadPause)
	defer ticker.Stop()
	failing := false
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-now:
			asked, failing = true, false // whoever asks wants to hear
		}
		err := r.look(asked)
		if err != nil && !failing {
			r.logger.Error("files changed and cannot be used: going on with what was read before", "what", r.what, "error", err)
		}
		failing = err != nil
	}
}

// watchFiles watches every value that is made of files.
func (g *Gateway) watchFiles(ctx context.Context, running *sync.WaitGroup) {
	var asked []chan os.Signal
	watch := func(run func(context.Context, <-chan os.Signal)) {
		now := make(chan os.Signal, 1)
		asked = append(asked, now)
		running.Go(func() { run(ctx, now) })
	}
	if g.keys != nil {
		watch(g.keys.run)
	}
	if g.tokens != nil {
		watch(g.tokens.run)
	}
	if g.certificate != nil {
		watch(g.certificate.run)
	}
	running.Go(func() { relay(ctx, g.reload, asked) })
}

// relay passes a signal on to everybody.
func relay(ctx context.Context, from <-chan os.Signal, to []chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-from:
			for _, c := range to {
				select {
				case c <- s:
				default: // it has one to see to already
				}
			}
		}
	}
}

// look makes the value anew if the files have changed and are the same as at the
// last look, or at once if asked.
func (r *reloaded[T]) look(asked bool) error {
	contents, err := readFiles(r.paths)
	if err != nil {
		return err
	}
	if slices.EqualFunc(contents, r.contents, bytes.Equal) {
		return nil
	}
	if settled := slices.EqualFunc(contents, r.changed, bytes.Equal); !settled && !asked {
		r.changed = contents
		return nil
	}
	if known := r.refusal != nil && slices.EqualFunc(contents, r.refused, bytes.Equal); known && !asked {
		return r.refusal
	}
	value, err := r.parse(contents)
	r.refused, r.refusal = contents, err
	if err != nil {
		return err
	}
	r.contents = contents
	r.value.Store(&value)
	r.logger.Info("files reloaded", "what", r.what)
	return nil
}

func readFiles(paths []string) ([][]byte, error) {
	contents := make([][]byte, len(paths))
	for i, path := range paths {
		var err error
		if contents[i], err = readFile(path); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err == nil && len(content) > maxSecretBytes {
		err = errors.New("larger than 64 KiB")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return content, nil
}

// secrets parses one secret a file, without the line break at its end.
func secrets(logger *slog.Logger, what string, paths []string) func([][]byte) ([][]byte, error) {
	return func(contents [][]byte) ([][]byte, error) {
		found := make([][]byte, len(contents))
		for i, content := range contents {
			secret := bytes.TrimRight(content, "\r\n")
			if len(secret) == 0 {
				return nil, fmt.Errorf("%s is empty: put the secret into it", paths[i])
			}
			if len(secret) < shortSecretBytes {
				logger.Warn("secret is short: use at least 24 bytes", "what", what, "file", paths[i])
			}
			found[i] = secret
		}
		return found, nil
	}
}
