package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Archive keeps media files under keys like "music/<task>/<name>". Any number of
// processes may share one.
type Archive struct {
	bucket  *blob.Bucket
	dir     *directory // what only a file archive needs and can do
	objects *objects   // what only an S3 archive needs and can do
}

// Close releases the archive. Nothing may be stored from then on.
func (a *Archive) Close() error {
	if a.objects != nil {
		defer a.objects.close()
	}
	if err := a.bucket.Close(); err != nil {
		return fmt.Errorf("close archive: %w", err)
	}
	return nil
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
	if isManifest(path.Base(key)) {
		return File{}, fmt.Errorf("store: %w: key %s is a manifest's", ErrInvalid, key)
	}
	if err := asset.validate(); err != nil {
		return File{}, fmt.Errorf("store %s: %w", key, err)
	}
	if moved == nil {
		moved = func(int) {}
	}
	file, err := a.existing(ctx, key, moved)
	if errors.Is(err, fs.ErrNotExist) {
		ctx, end := traced(ctx, key)
		file, err = a.fetch(ctx, f, key, asset, moved)
		end(file, err)
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
	sum := newDigest()
	err := a.read(ctx, key, func(r io.Reader) error {
		_, err := io.Copy(sum, &observed{ctx: ctx, source: r, moved: moved})
		return err
	})
	if err != nil {
		return File{}, err
	}
	return sum.file(key), nil
}

// read hands over what is stored under the key. Its error is [fs.ErrNotExist],
// ctx's own, or wraps [ErrArchive].
func (a *Archive) read(ctx context.Context, key string, do func(io.Reader) error) error {
	r, err := a.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fs.ErrNotExist
	}
	if err != nil {
		return archiveError(ctx, err)
	}
	if err := errors.Join(do(r), r.Close()); err != nil {
		return archiveError(ctx, err)
	}
	return nil
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
