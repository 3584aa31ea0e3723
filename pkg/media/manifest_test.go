package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// kinds returns how to make an archive of each kind, and from that how to open it
// again and again.
func kinds() map[string]func(*testing.T) func() *Archive {
	return map[string]func(*testing.T) func() *Archive{
		"file": func(t *testing.T) func() *Archive {
			t.Helper()
			_, root := testArchive(t)
			return func() *Archive { return openTestArchive(t, root) }
		},
		"s3": func(t *testing.T) func() *Archive {
			t.Helper()
			s := newStore(t)
			return func() *Archive { return s.open(t, "prefix", "media/") }
		},
	}
}

func TestManifest(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			open := kind(t)
			const key = "wav/task=2E1/" + ManifestName
			archive := open()
			if _, err := archive.Manifest(t.Context(), key); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrArchive) {
				t.Errorf("nothing yet: %v", err)
			}
			for _, body := range []string{`{"a":1}`, `{"a":22}`, `{}`, strings.Repeat(" ", MaxManifestBytes)} {
				if err := archive.PutManifest(t.Context(), key, []byte(body)); err != nil {
					t.Fatal(err)
				}
				if got, err := open().Manifest(t.Context(), key); err != nil || string(got) != body {
					t.Errorf("got %d bytes, %v, want %d", len(got), err, len(body))
				}
				if entries := list(t, archive, ""); len(entries) != 1 || entries[0] != (Entry{Key: key}) {
					t.Errorf("archive holds %v", entries)
				}
			}
		})
	}
}

func TestManifestInvalid(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			open := kind(t)
			archive := open()
			for _, key := range []string{"", "wav/t/a.json", "wav/t/Result.json", "../result.json", "wav/t/result.json/", "wav//result.json"} {
				if err := archive.PutManifest(t.Context(), key, nil); !errors.Is(err, ErrInvalid) {
					t.Errorf("PutManifest(%q) = %v", key, err)
				}
				if _, err := archive.Manifest(t.Context(), key); !errors.Is(err, ErrInvalid) {
					t.Errorf("Manifest(%q) = %v", key, err)
				}
			}
			if err := archive.PutManifest(t.Context(), "wav/t/result.json", make([]byte, MaxManifestBytes+1)); !errors.Is(err, ErrInvalid) {
				t.Errorf("too large: %v", err)
			}
			if entries := list(t, archive, ""); len(entries) != 0 {
				t.Errorf("archive holds %v", entries)
			}
		})
	}
}

// No asset can take a manifest's place, whatever its capitals.
func TestAssetCannotBeAManifest(t *testing.T) {
	archive, _ := testArchive(t)
	f := testFetcher(t, FetcherOptions{})
	for _, name := range []string{ManifestName, "Result.JSON"} {
		asset := Asset{Name: name, Kind: Audio, URLs: []string{"http://x.test/"}}
		if _, err := archive.Store(t.Context(), f, "wav/t/a", asset, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("asset %s: %v", name, err)
		}
		if _, err := archive.Store(t.Context(), f, "wav/t/"+name, wavAsset("http://x.test/"), nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("key %s: %v", name, err)
		}
	}
}

// A reader finds one of the manifests whole, whenever it looks.
func TestManifestReplacedWhileRead(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			open := kind(t)
			const key, writers, rounds = "wav/t/" + ManifestName, 3, 20
			bodies := make([][]byte, writers)
			for i := range bodies {
				bodies[i] = bytes.Repeat([]byte{byte('a' + i)}, 10_000*(i+1))
			}
			if err := open().PutManifest(t.Context(), key, bodies[0]); err != nil {
				t.Fatal(err)
			}
			var work sync.WaitGroup
			for _, body := range bodies {
				archive := open()
				work.Go(func() {
					for range rounds {
						if err := archive.PutManifest(t.Context(), key, body); err != nil {
							t.Error(err)
						}
					}
				})
			}
			reader := open()
			for range rounds {
				got, err := reader.Manifest(t.Context(), key)
				if err != nil || len(got) == 0 || !bytes.Equal(got, bodies[got[0]-'a']) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
			}
			work.Wait()
			if entries := list(t, reader, ""); len(entries) != 1 {
				t.Errorf("archive holds %v", entries)
			}
		})
	}
}

func TestManifestFails(t *testing.T) {
	archive, root := testArchive(t)
	put(t, root, "wav/t", "a file where the folder must be")
	if err := archive.PutManifest(t.Context(), "wav/t/result.json", nil); !errors.Is(err, ErrArchive) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := archive.PutManifest(ctx, "wav/u/result.json", nil); !errors.Is(err, context.Canceled) || errors.Is(err, ErrArchive) {
		t.Errorf("cancelled: %v", err)
	}
	if found := files(t, root); fmt.Sprint(found) != "[wav/t]" {
		t.Errorf("archive holds %s", found)
	}
	put(t, root, "wav/v/result.json", "")
	if err := os.Truncate(filepath.Join(root, "wav", "v", "result.json"), 64<<30); err != nil { // more than memory holds
		t.Fatal(err)
	}
	if _, err := archive.Manifest(t.Context(), "wav/v/result.json"); !errors.Is(err, ErrInvalid) {
		t.Errorf("too large: %v", err)
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if err := archive.PutManifest(t.Context(), "wav/t/result.json", nil); !errors.Is(err, ErrArchive) {
		t.Errorf("without a directory: %v", err)
	}
}
