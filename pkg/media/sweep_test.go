package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"

	"fanfare/pkg/eventually"
)

func testLogger(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// startSweeper runs a sweeper until the returned function is called.
func startSweeper(t *testing.T, archive *Archive, interval time.Duration) (stop func()) {
	t.Helper()
	sweeper, err := NewSweeper(archive, SweeperOptions{Logger: testLogger(t), Interval: interval})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sweeper.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// What killed processes left goes, wherever it lies; what a living one is writing
// stays, as does what only looks like a temporary.
func TestSweeper(t *testing.T) {
	archive, root := testArchive(t)
	living, err := archive.begin(t.Context(), "wav/t/b.wav", newWAV())
	if err != nil {
		t.Fatal(err)
	}
	defer living.abort()
	stay := []string{"wav/t/notes.tmp", "wav/t/a.wav.tmp", "music/u/a.mp3", "wav/t/result.json", "lost+found/a.wav.1234abcd.tmp"}
	for _, key := range stay {
		put(t, root, key, "x")
	}
	target := filepath.Join(t.TempDir(), "elsewhere.1234abcd.tmp")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(root, "link.1234abcd.tmp")); err != nil {
		t.Fatal(err)
	}
	before := files(t, root)
	killHelper(t, root)
	for _, key := range []string{"wav/other/a.wav.1234abcd.tmp", "music/u/a.mp3.1.tmp", "probe.18a1b2c3d4e5f607.tmp", "wav/t/x/y/z.1.tmp"} {
		put(t, root, key, "x")
	}
	if left := files(t, root); len(left) != len(before)+5 {
		t.Fatalf("the archive holds %s, before it %s", left, before)
	}

	stop := startSweeper(t, openTestArchive(t, root), time.Hour)
	defer stop()
	eventually.Await(t, "temporaries are removed", func() bool { return slices.Equal(files(t, root), before) })
	if _, err := os.Stat(target); err != nil {
		t.Errorf("behind a link: %v", err)
	}
	if _, err := living.Write(wav(8000)); err != nil {
		t.Fatal(err)
	}
	if err := living.commit(); err != nil {
		t.Error(err)
	}
}

// The next sweep comes after the interval.
func TestSweeperAgain(t *testing.T) {
	archive, root := testArchive(t)
	stop := startSweeper(t, archive, 10*time.Millisecond)
	defer stop()
	for n := range 3 {
		put(t, root, fmt.Sprintf("wav/t/%d.wav.1.tmp", n), "x")
		eventually.Await(t, "the temporary is removed", func() bool { return len(files(t, root)) == 0 })
	}
}

// By default an hour passes, and a sweep that fails is no end.
func TestSweeperInterval(t *testing.T) {
	archive, root := testArchive(t)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		sweeps := make(chan time.Time, 3)
		logger := slog.New(countingHandler{Handler: slog.DiscardHandler, warned: func() { sweeps <- time.Now() }})
		sweeper, err := NewSweeper(archive, SweeperOptions{Logger: logger})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if err := sweeper.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		start := time.Now()
		for n := range 3 {
			if at := <-sweeps; at.Sub(start) != time.Duration(n)*time.Hour {
				t.Errorf("sweep %d after %s", n, at.Sub(start))
			}
		}
		cancel()
		synctest.Wait()
	})
}

type countingHandler struct {
	slog.Handler
	warned func()
}

func (h countingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h countingHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		h.warned()
	}
	return nil
}

func TestSweeperOptions(t *testing.T) {
	archive, _ := testArchive(t)
	if _, err := NewSweeper(archive, SweeperOptions{}); err == nil || !strings.Contains(err.Error(), "Logger") {
		t.Errorf("without a logger: %v", err)
	}
	if _, err := NewSweeper(archive, SweeperOptions{Logger: testLogger(t), Interval: -1}); err == nil {
		t.Error("a negative interval is accepted")
	}
}

// Uploads go on while the archive is swept again and again, and none loses its
// temporary.
func TestSweepWhileStoring(t *testing.T) {
	_, root := testArchive(t)
	stop := startSweeper(t, openTestArchive(t, root), time.Nanosecond)
	defer stop()
	failures := make(chan error, 4)
	for worker := range cap(failures) {
		archive := openTestArchive(t, root)
		go func() {
			var err error
			for n := 0; n < 50 && err == nil; n++ {
				err = storeSlowly(t.Context(), archive, fmt.Sprintf("wav/%d/%d.wav", worker%2, n*10+worker))
			}
			failures <- err
		}()
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if found := files(t, root); len(found) != 200 {
		t.Errorf("archive holds %d files", len(found))
	}
}

// storeSlowly gives a sweeper chances at every step.
func storeSlowly(ctx context.Context, archive *Archive, key string) error {
	up, err := archive.begin(ctx, key, blob.WriterOptions{ContentType: "audio/wav", IfNotExist: true})
	if err != nil {
		return err
	}
	defer up.abort()
	for range 3 {
		if _, err := up.Write([]byte("content")); err != nil {
			return err
		}
	}
	return up.commit()
}

// While the lock is held, a sweep only waits with what it has found.
func TestSweepHoldsTheLockBriefly(t *testing.T) {
	archive, root := testArchive(t)
	for n := range 500 {
		put(t, root, fmt.Sprintf("wav/%d/a.wav", n), "")
	}
	put(t, root, "wav/0/a.wav.1.tmp", "")
	swept := make(chan error, 1)
	err := archive.dir.locked(func(bool) error {
		go func() {
			_, err := openTestArchive(t, root).sweep(t.Context())
			swept <- err
		}()
		select {
		case err := <-swept:
			return fmt.Errorf("swept in spite of the lock: %w", err)
		case <-time.After(100 * time.Millisecond):
			return nil
		}
	})
	if err := errors.Join(err, <-swept); err != nil {
		t.Error(err)
	}
	if found := files(t, root); len(found) != 500 {
		t.Errorf("archive holds %d files", len(found))
	}
}

func TestSweepCancelled(t *testing.T) {
	archive, root := testArchive(t)
	put(t, root, "wav/t/a.wav.1.tmp", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if removed, err := archive.sweep(ctx); removed != 0 || !errors.Is(err, context.Canceled) || errors.Is(err, ErrArchive) {
		t.Errorf("removed %d, %v", removed, err)
	}
}
