package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// fetch stores the first of the asset's URLs that works.
func (a *Archive) fetch(
	ctx context.Context, f *Fetcher, key string, asset Asset, moved func(int),
) (File, error) {
	var failures fetchErrors
	for _, source := range asset.URLs {
		file, err := a.fetchOne(ctx, f, key, source, asset.Kind, moved)
		var failure *FetchError
		switch {
		case errors.Is(err, fs.ErrExist):
			return a.taken(ctx, key, moved)
		case ctx.Err() != nil && err != nil:
			return File{}, ctx.Err()
		case !errors.As(err, &failure):
			return file, err
		}
		f.options.OnFailure(failure)
		failures = append(failures, failure)
	}
	return File{}, failures
}

// taken describes the file that another has stored under the key meanwhile.
func (a *Archive) taken(ctx context.Context, key string, moved func(int)) (File, error) {
	file, err := a.existing(ctx, key, moved)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, fmt.Errorf("%w: the key is taken by something that is no file", ErrArchive)
	}
	return file, err
}

// fetchOne stores one URL. Its error is a [*FetchError], wraps [ErrArchive], or
// is [fs.ErrExist] when another has stored the key meanwhile.
func (a *Archive) fetchOne(
	ctx context.Context, f *Fetcher, key, source string, kind Kind, moved func(int),
) (File, error) {
	content, err := f.open(ctx, source, kind, moved)
	if err != nil {
		return File{}, err
	}
	defer content.close()
	up, err := a.begin(ctx, key, blob.WriterOptions{ContentType: content.contentType, IfNotExist: true})
	if err != nil {
		return File{}, err
	}
	defer up.abort()
	sum := newDigest()
	if _, err := io.Copy(up, io.TeeReader(content, sum)); err != nil {
		return File{}, archiveError(ctx, err)
	}
	if err := up.commit(); err != nil {
		return File{}, archiveError(ctx, err)
	}
	file := sum.file(key)
	file.SourceURL = source
	return file, nil
}

// archiveError marks an error as the archive's, unless it is the media host's,
// the caller's who gave up, or says that the key is taken.
func archiveError(ctx context.Context, err error) error {
	var failure *FetchError
	switch {
	case errors.As(err, &failure), errors.Is(err, fs.ErrExist), errors.Is(err, ErrArchive):
		return err
	case ctx.Err() == nil:
		return fmt.Errorf("%w: %w", ErrArchive, err)
	case errors.Is(err, ctx.Err()):
		return err
	default:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
}

// upload is a file on its way into the archive, not yet visible under its key.
type upload struct {
	io.Writer

	key    string
	first  bool // another's file stays
	dir    *directory
	writer *blob.Writer
	temp   *os.File // of a file archive: what the bytes go to, unbuffered
	cancel context.CancelFunc
	done   bool
}

// begin starts an upload. Of a file archive it also removes what dead processes
// left beside the key.
func (a *Archive) begin(ctx context.Context, key string, options blob.WriterOptions) (*upload, error) {
	uploadCtx, cancel := context.WithCancel(ctx)
	up := &upload{key: key, first: options.IfNotExist, dir: a.dir, cancel: cancel}
	create := func() (err error) {
		up.writer, err = a.bucket.NewWriter(uploadCtx, key, &options)
		return err
	}
	var err error
	if a.dir == nil {
		options.BeforeWrite = a.objects.tune
		err = create()
	} else {
		options.BeforeWrite = up.keepTemp
		err = a.dir.locked(func(exclusive bool) error {
			if exclusive {
				a.dir.sweepBeside(key)
			}
			return create()
		})
	}
	if err != nil {
		cancel()
		return nil, archiveError(ctx, err)
	}
	up.Writer = struct{ io.Writer }{up.writer} // without ReadFrom, which takes a megabyte for its buffer
	return up, nil
}

// keepTemp gets hold of the temporary file and marks it as in use.
func (u *upload) keepTemp(as func(any) bool) error {
	if !as(&u.temp) {
		return errors.New("archive does not write to files")
	}
	return markAlive(u.temp)
}

func (u *upload) sync() error {
	if u.temp == nil {
		return nil
	}
	return u.temp.Sync()
}

// commit makes the upload durable and visible under its key. The error is
// [fs.ErrExist] when the key is taken by then, whose file stays as it is.
func (u *upload) commit() error {
	if err := u.sync(); err != nil {
		return err
	}
	var err error
	if u.dir == nil {
		err = u.close()
	} else {
		err = u.dir.locked(func(bool) error { return u.close() })
	}
	switch {
	case u.first && (gcerrors.Code(err) == gcerrors.FailedPrecondition || hasCode(err, codeConflict)):
		return fs.ErrExist
	case err != nil:
		return err
	case u.dir == nil:
		return nil
	}
	return u.dir.syncAbove(u.key)
}

// abort discards the upload, unless it is committed.
func (u *upload) abort() {
	u.cancel()
	_ = u.close()
}

func (u *upload) close() error {
	if u.done {
		return nil
	}
	u.done = true
	return u.writer.Close()
}
