package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gocloud.dev/blob/fileblob"
)

// minFreeParameter is the one parameter of a file archive's URL that is our own.
const minFreeParameter = "min_free_bytes"

// directory is what a file archive needs beyond gocloud.dev/blob: names that
// survive a power cut, one writer at a time where it matters, and an end for
// what dead processes left behind.
type directory struct {
	root    string
	minFree uint64 // bytes
}

// openDirectory opens a file archive. Temporaries lie beside their files, since
// a rename is atomic only within a file system, and no sidecar files are written.
func openDirectory(ctx context.Context, u *url.URL, create bool) (*Archive, error) {
	dir, query, err := newDirectory(u)
	if err != nil {
		return nil, err
	}
	query.Del("create_dir")
	if create {
		query.Set("create_dir", "true")
	}
	query.Set("no_tmp_dir", "true")
	query.Set("metadata", "skip")
	full := *u
	full.RawQuery = query.Encode()

	root := dir.root
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

// newDirectory reads the URL of a file archive, and returns the parameters that
// are left for fileblob.
func newDirectory(u *url.URL) (*directory, url.Values, error) {
	if u.Path == "" || (u.Host != "" && u.Host != "." && u.Host != "localhost") {
		return nil, nil, fmt.Errorf("%w: archive URL must look like file:///dir, or file://./dir for a relative one", ErrInvalid)
	}
	path := u.Path
	if u.Host == "." || os.PathSeparator != '/' {
		path = strings.TrimPrefix(path, "/") // as fileblob does
	}
	root, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: open archive: %w", ErrArchive, err)
	}
	dir, query := &directory{root: root, minFree: defaultMinFreeBytes}, u.Query()
	if query.Has(minFreeParameter) {
		dir.minFree, err = strconv.ParseUint(query.Get(minFreeParameter), 10, 63)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: archive URL: %s must be a number of bytes", ErrInvalid, minFreeParameter)
		}
		query.Del(minFreeParameter)
	}
	return dir, query, nil
}

// nearestPresent returns path or the nearest directory above it that exists.
func nearestPresent(path string) string {
	for {
		_, err := os.Stat(path)
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
