package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Archive keeps media files under keys like "music/<task>/<name>". Any number of
// processes may share one.
type Archive struct {
	bucket *blob.Bucket
	dir    *directory // what only a file archive needs and can do
}

// OpenArchive opens the archive at a gocloud.dev/blob URL. The one scheme so far
// is file, as in file:///var/lib/fanfare/archive; the directory is created.
// The error wraps [ErrInvalid] for the URL or [ErrArchive] for the directory.
func OpenArchive(ctx context.Context, rawURL string) (*Archive, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: archive URL cannot be read", ErrInvalid)
	}
	switch u.Scheme {
	case "file":
		return openDirectory(ctx, u)
	default:
		return nil, fmt.Errorf("%w: archive URL scheme %q: only file is supported", ErrInvalid, u.Scheme)
	}
}

// Close releases the archive. Nothing may be stored from then on.
func (a *Archive) Close() error {
	if err := a.bucket.Close(); err != nil {
		return fmt.Errorf("close archive: %w", err)
	}
	return nil
}

// FreeBytes returns how much can still be written; ok is false when the archive
// has no such notion.
func (a *Archive) FreeBytes() (free uint64, ok bool) {
	if a.dir == nil {
		return 0, false
	}
	return a.dir.freeBytes()
}

// Store makes the asset durable under the key and describes it. What is there
// already is hashed again and not downloaded; otherwise the asset's URLs are
// tried in order. When moved is not nil it is called with the bytes that have
// just moved, or with 0 when a request begins: a caller that hears nothing for
// long may take the transfer for stuck.
//
// The error wraps ctx's own, [ErrInvalid] or [ErrArchive]; otherwise every URL
// failed and [errors.As] finds a [*FetchError], a permanent one only when all
// are permanent.
func (a *Archive) Store(
	ctx context.Context, f *Fetcher, key string, asset Asset, moved func(n int),
) (File, error) {
	if err := checkKey(key); err != nil {
		return File{}, fmt.Errorf("store: %w", err)
	}
	if err := asset.validate(); err != nil {
		return File{}, fmt.Errorf("store %s: %w", key, err)
	}
	if moved == nil {
		moved = func(int) {}
	}
	file, err := a.existing(ctx, key, moved)
	if errors.Is(err, fs.ErrNotExist) {
		file, err = a.fetch(ctx, f, key, asset, moved)
	}
	if err != nil {
		return File{}, fmt.Errorf("store %s: %w", key, err)
	}
	return file, nil
}

// Hash describes what is stored under the key, as Store would. The error wraps
// [fs.ErrNotExist] when there is nothing, ctx's own, [ErrInvalid] or [ErrArchive].
func (a *Archive) Hash(ctx context.Context, key string) (File, error) {
	if err := checkKey(key); err != nil {
		return File{}, fmt.Errorf("hash: %w", err)
	}
	file, err := a.hash(ctx, key, func(int) {})
	if err != nil {
		return File{}, fmt.Errorf("hash %s: %w", key, err)
	}
	return file, nil
}

// Probe reports whether the archive can be written, by writing a little that
// never becomes visible under a key. The error wraps [ErrArchive] or ctx's own.
func (a *Archive) Probe(ctx context.Context) error {
	up, err := a.begin(ctx, "probe", "application/octet-stream")
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer up.abort()
	if _, err := up.Write(make([]byte, probeBytes)); err != nil {
		return fmt.Errorf("probe: %w", archiveError(ctx, err))
	}
	if err := up.sync(); err != nil {
		return fmt.Errorf("probe: %w", archiveError(ctx, err))
	}
	return nil
}

// probeBytes is enough to need blocks of its own on any file system.
const probeBytes = 1 << 20

// existing describes what is stored under the key and makes sure that it is
// durable, for another process may have put it there a moment ago.
func (a *Archive) existing(ctx context.Context, key string, moved func(int)) (File, error) {
	file, err := a.hash(ctx, key, moved)
	if err != nil {
		return File{}, err
	}
	if a.dir != nil {
		if err := a.dir.syncAbove(key); err != nil {
			return File{}, archiveError(ctx, err)
		}
	}
	return file, nil
}

func (a *Archive) hash(ctx context.Context, key string, moved func(int)) (File, error) {
	r, err := a.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return File{}, fs.ErrNotExist
	}
	if err != nil {
		return File{}, archiveError(ctx, err)
	}
	defer func() { _ = r.Close() }()
	sum := newDigest()
	if _, err := io.Copy(sum, &observed{ctx: ctx, source: r, moved: moved}); err != nil {
		return File{}, archiveError(ctx, err)
	}
	return sum.file(key), nil
}

// observed reads from the archive, heeding ctx and telling how much has moved.
type observed struct {
	ctx    context.Context //nolint:containedctx // io.Reader leaves no other way to stop a long read
	source io.Reader
	moved  func(int)
}

func (o *observed) Read(p []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := o.source.Read(p)
	o.moved(n)
	return n, err
}
