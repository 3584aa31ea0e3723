package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gocloud.dev/blob/fileblob"
)

// directory is what a file archive needs beyond gocloud.dev/blob: names that
// survive a power cut, one writer at a time where it matters, and an end for
// what dead processes left behind.
type directory struct{ root string }

// openDirectory opens a file archive. Temporaries lie beside their files, since
// a rename is atomic only within a file system, and no sidecar files are written.
func openDirectory(ctx context.Context, u *url.URL) (*Archive, error) {
	if u.Path == "" || (u.Host != "" && u.Host != "." && u.Host != "localhost") {
		return nil, fmt.Errorf("%w: archive URL must look like file:///dir, or file://./dir for a relative one", ErrInvalid)
	}
	path := u.Path
	if u.Host == "." || os.PathSeparator != '/' {
		path = strings.TrimPrefix(path, "/") // as fileblob does
	}
	root, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		return nil, fmt.Errorf("%w: open archive: %w", ErrArchive, err)
	}
	query := u.Query()
	query.Set("create_dir", "true")
	query.Set("no_tmp_dir", "true")
	query.Set("metadata", "skip")
	full := *u
	full.RawQuery = query.Encode()

	dir := &directory{root: root}
	present := nearestPresent(root)
	bucket, err := new(fileblob.URLOpener).OpenBucketURL(ctx, &full)
	var failure *fs.PathError
	switch {
	case errors.As(err, &failure):
		return nil, fmt.Errorf("%w: open archive: %w", ErrArchive, err)
	case err != nil:
		return nil, fmt.Errorf("%w: archive URL: %w", ErrInvalid, err)
	}
	if present != root {
		err = syncChain(filepath.Dir(root), present)
	}
	if err != nil {
		_ = bucket.Close()
		return nil, fmt.Errorf("%w: open archive: %w", ErrArchive, err)
	}
	return &Archive{bucket: bucket, dir: dir}, nil
}

// nearestPresent returns path or the nearest directory above it that exists.
func nearestPresent(path string) string {
	for {
		_, err := os.Stat(path) //nolint:gosec // the operator's own path
		parent := filepath.Dir(path)
		if err == nil || parent == path {
			return path
		}
		path = parent
	}
}

// syncAbove makes the key's name durable: its folder and every folder up to the
// root. All of them each time, for another process may have created one and not
// have synced it yet.
func (d *directory) syncAbove(key string) error {
	return syncChain(filepath.Dir(d.path(key)), d.root)
}

// syncChain syncs the directories from the lower one up to the upper one.
func syncChain(lower, upper string) error {
	for dir := lower; ; dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil {
			return err
		}
		if dir == upper {
			return nil
		}
	}
}

func (d *directory) path(key string) string {
	return filepath.Join(d.root, filepath.FromSlash(key))
}

// sweep removes the temporaries of dead processes beside the key. It needs the
// exclusive lock: without it, a temporary that was created a moment ago and is
// not yet marked would pass for dead.
func (d *directory) sweep(key string) {
	folder := filepath.Dir(d.path(key))
	entries, err := os.ReadDir(folder)
	if err != nil {
		return // most often there is no such folder yet; otherwise creating the file says more
	}
	temporary := regexp.MustCompile(`\.[0-9a-f]{1,16}\.tmp$`)
	for _, entry := range entries {
		if entry.Type().IsRegular() && temporary.MatchString(entry.Name()) {
			removeIfDead(filepath.Join(folder, entry.Name()))
		}
	}
}
