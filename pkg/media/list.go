package media

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"

	"gocloud.dev/blob"
)

// listBatch is how many names of a folder are read at a time.
const listBatch = 256

// Entry is one thing that lies in an archive.
type Entry struct {
	Key       string
	Temporary bool // a file on its way, or what a process left that died
	Foreign   bool // no file of an archive's: not a regular file, or a name that no key has
}

// List yields what lies below the folder, such as "music", or everything for "".
// It holds a few hundred names at a time, however many there are; the files of a
// folder come one after another, except where folders lie between them. What
// appears or goes meanwhile may be yielded or not. An error wraps ctx's own,
// [ErrInvalid] or [ErrArchive], and ends the list unless it concerns one folder of
// a file archive.
func (a *Archive) List(ctx context.Context, folder string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if folder != "" {
			if err := checkKey(folder); err != nil {
				yield(Entry{}, err)
				return
			}
		}
		if a.dir != nil {
			a.dir.walk(ctx, folder, func(e Entry, err error) bool {
				return yield(e, listError(ctx, err))
			})
			return
		}
		a.objects.list(ctx, a.bucket, folder, func(e Entry, err error) bool {
			return yield(e, listError(ctx, err))
		})
	}
}

func listError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return archiveError(ctx, err)
}

// walk yields what lies below the folder, in the order in which the file system
// names it, and goes on after a folder that cannot be read. It reports whether
// the caller wants more.
func (d *directory) walk(ctx context.Context, folder string, yield func(Entry, error) bool) bool {
	opened, err := os.Open(d.path(folder))
	if err != nil {
		return folder != "" && errors.Is(err, fs.ErrNotExist) || yield(Entry{Key: folder}, err)
	}
	defer func() { _ = opened.Close() }()
	for {
		entries, err := opened.ReadDir(listBatch)
		for _, entry := range entries {
			if ctx.Err() != nil {
				yield(Entry{}, ctx.Err())
				return false
			}
			if !d.visit(ctx, folder, entry, yield) {
				return false
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, fs.ErrNotExist): // a folder may go while it is read
			return true
		case err != nil:
			return yield(Entry{Key: folder}, err)
		}
	}
}

func (d *directory) visit(ctx context.Context, folder string, entry fs.DirEntry, yield func(Entry, error) bool) bool {
	name := entry.Name()
	key := path.Join(folder, name)
	known := checkSegment(name, maxSegment) == nil
	switch {
	case entry.IsDir() && known:
		return d.walk(ctx, key, yield)
	case entry.Type().IsRegular() && isTemporary(name):
		return yield(Entry{Key: key, Temporary: true}, nil)
	default:
		return yield(Entry{Key: key, Foreign: !known || !entry.Type().IsRegular()}, nil)
	}
}

// isTemporary tells the names that gocloud.dev/blob/fileblob gives to files on
// their way: the file's own, ".<hex time>.tmp".
func isTemporary(name string) bool {
	name, ok := strings.CutSuffix(name, ".tmp")
	dot := strings.LastIndexByte(name, '.')
	digits := name[dot+1:]
	return ok && dot >= 0 && len(digits) > 0 && len(digits) <= 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// list yields the objects below the folder, in the order of their keys.
func (o *objects) list(ctx context.Context, bucket *blob.Bucket, folder string, yield func(Entry, error) bool) {
	options := new(blob.ListOptions)
	if folder != "" {
		options.Prefix = folder + "/"
	}
	for list := bucket.List(options); ; {
		object, err := list.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			yield(Entry{}, err)
			return
		}
		if !yield(Entry{Key: object.Key, Foreign: checkKey(object.Key) != nil}, nil) {
			return
		}
	}
}
