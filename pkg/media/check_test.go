package media

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestProbe(t *testing.T) {
	archive, root := testArchive(t)
	if err := archive.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if found := files(t, root); len(found) != 0 {
		t.Errorf("archive holds %s", found)
	}
	if free, ok := archive.FreeBytes(); !ok || free == 0 {
		t.Errorf("FreeBytes = %d, %t", free, ok)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := archive.Probe(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if err := archive.Probe(t.Context()); !errors.Is(err, ErrArchive) {
		t.Errorf("without a directory: %v", err)
	}
}

// An archive is fit for more while its directory is there and has room.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	open := func(parameters string) *Archive {
		archive, err := OpenArchive(t.Context(), "file://"+dir+"/archive"+parameters)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = archive.Close() })
		return archive
	}
	fit, greedy := open("?min_free_bytes=0"), open("?min_free_bytes="+strconv.Itoa(math.MaxInt64))
	if err := fit.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := greedy.Check(t.Context()); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "want 9223372036854775807") {
		t.Errorf("got %v", err)
	}
	if got := open("").dir.minFree; got != 256<<20 {
		t.Errorf("by default %d bytes", got)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := fit.Check(t.Context()); !errors.Is(err, ErrArchive) {
		t.Errorf("without a directory: %v", err)
	}
}

// Whoever only reads makes no directory, and one that cannot be written will do.
func TestOpenExistingArchive(t *testing.T) {
	dir := t.TempDir()
	url := "file://" + dir + "/archive"
	for _, parameters := range []string{"", "?create_dir=true"} {
		_, err := OpenExistingArchive(t.Context(), url+parameters)
		if !errors.Is(err, ErrArchive) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", parameters, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "archive")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
	put(t, dir, "archive/wav/t/a.wav", "x")
	archive, err := OpenExistingArchive(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	if file, err := archive.Hash(t.Context(), "wav/t/a.wav"); err != nil || file.SHA256 != sha([]byte("x")) {
		t.Errorf("got %+v, %v", file, err)
	}
}
