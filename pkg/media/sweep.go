package media

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// SweeperOptions configures a Sweeper. Logger is required; the zero value of
// Interval selects the default written beside it.
type SweeperOptions struct {
	Logger   *slog.Logger
	Interval time.Duration // 1h: between the end of a sweep and the next
}

// Sweeper removes from an archive what dead processes left on its way: of a file
// archive the temporaries that nobody has open, of S3 the multipart uploads that
// began over a day ago. Any number of processes may sweep one archive.
type Sweeper struct {
	archive *Archive
	options SweeperOptions
}

// NewSweeper validates the options.
func NewSweeper(archive *Archive, options SweeperOptions) (*Sweeper, error) {
	switch {
	case options.Logger == nil:
		return nil, errors.New("sweeper options: Logger is missing")
	case options.Interval < 0:
		return nil, errors.New("sweeper options: Interval is negative")
	case options.Interval == 0:
		options.Interval = time.Hour
	}
	return &Sweeper{archive: archive, options: options}, nil
}

// Run sweeps at once and then once an interval, until ctx ends. A sweep that
// fails is logged: the next may do better.
func (s *Sweeper) Run(ctx context.Context) error {
	for {
		s.sweep(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.options.Interval):
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) {
	start := time.Now()
	removed, err := s.archive.sweep(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.options.Logger.Warn("archive not swept", "removed", removed, "error", err)
	case removed > 0:
		s.options.Logger.Info("archive swept", "removed", removed, "seconds", time.Since(start).Seconds())
	}
}

// sweep removes what dead processes left, and returns how much that was.
func (a *Archive) sweep(ctx context.Context) (removed int, err error) {
	if a.objects != nil {
		return a.objects.sweep(ctx)
	}
	return a.dir.sweepAll(ctx)
}

// sweepAll looks for temporaries without the lock, and takes it for one of them at
// a time, so that no upload waits for longer than a file takes to be removed. It
// goes on after a folder that cannot be read.
func (d *directory) sweepAll(ctx context.Context) (removed int, err error) {
	var failure error // the first
	d.walk(ctx, "", func(e Entry, err error) bool {
		if err == nil && e.Temporary {
			err = d.locked(func(exclusive bool) error {
				if exclusive && removeIfDead(d.path(e.Key)) {
					removed++
				}
				return nil
			})
		}
		failure = cmp.Or(failure, err)
		return true
	})
	if failure != nil {
		return removed, fmt.Errorf("sweep: %w", archiveError(ctx, failure))
	}
	return removed, nil
}

// sweepBeside removes the temporaries of dead processes beside the key. It needs
// the exclusive lock: without it, a temporary that was created a moment ago and
// is not yet marked would pass for dead.
func (d *directory) sweepBeside(key string) {
	folder := filepath.Dir(d.path(key))
	entries, err := os.ReadDir(folder)
	if err != nil {
		return // most often there is no such folder yet; otherwise creating the file says more
	}
	for _, entry := range entries {
		if entry.Type().IsRegular() && isTemporary(entry.Name()) {
			removeIfDead(filepath.Join(folder, entry.Name()))
		}
	}
}
