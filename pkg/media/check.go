package media

import (
	"context"
	"fmt"
	"os"

	"gocloud.dev/blob"
)

// defaultMinFreeBytes is room for some dozens of files, so that those on their
// way still fit when a process is taken for not ready.
const defaultMinFreeBytes = 256 << 20

// probeBytes is enough to need blocks of its own on any file system.
const probeBytes = 1 << 20

// FreeBytes returns how much can still be written; ok is false when the archive
// has no such notion.
func (a *Archive) FreeBytes() (free uint64, ok bool) {
	if a.dir == nil {
		return 0, false
	}
	return a.dir.freeBytes()
}

// Check reports whether the archive is fit for more, without writing: that the
// directory is there and has as many bytes free as its URL wants, or that the
// bucket can be listed. The error wraps [ErrArchive] or ctx's own.
func (a *Archive) Check(ctx context.Context) error {
	if a.dir != nil {
		return a.dir.check()
	}
	accessible, err := a.bucket.IsAccessible(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("check: %w", archiveError(ctx, err))
	case !accessible:
		return fmt.Errorf("check: %w: there is no bucket %s", ErrArchive, a.objects.bucket)
	}
	return nil
}

func (d *directory) check() error {
	if _, err := os.Stat(d.root); err != nil {
		return fmt.Errorf("check: %w: %w", ErrArchive, err)
	}
	if free, ok := d.freeBytes(); ok && free < d.minFree {
		return fmt.Errorf("check: %w: %d bytes free, want %d", ErrArchive, free, d.minFree)
	}
	return nil
}

// Probe reports whether the archive can be written, by writing a little that
// never becomes visible under a key. The error wraps [ErrArchive] or ctx's own.
func (a *Archive) Probe(ctx context.Context) error {
	probe := a.probeFile
	if a.objects != nil {
		probe = a.objects.probe
	}
	if err := probe(ctx); err != nil {
		return fmt.Errorf("probe: %w", archiveError(ctx, err))
	}
	return nil
}

func (a *Archive) probeFile(ctx context.Context) error {
	up, err := a.begin(ctx, "probe", blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return err
	}
	defer up.abort()
	if _, err := up.Write(make([]byte, probeBytes)); err != nil {
		return err
	}
	return up.sync()
}
