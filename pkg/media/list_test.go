package media

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// list returns what lies below the folder, by key.
func list(t *testing.T, archive *Archive, folder string) []Entry {
	t.Helper()
	var entries []Entry
	for entry, err := range archive.List(t.Context(), folder) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries
}

func TestListDirectory(t *testing.T) {
	archive, root := testArchive(t)
	for _, key := range []string{
		"music/t/a.mp3", "music/t/result.json", "music/u/a.mp3", "wav/t/a.wav", "wav/t/a.wav.18a1b2c3d4e5f607.tmp", "wav/t/notes.tmp",
		"wav/t/a.wav.attrs", "README", "lost+found/x", "wav/t/deeper/still/x", "wav/t/a b",
	} {
		put(t, root, key, "")
	}
	mkdir(t, root, "empty")
	if err := os.Symlink("a.wav", filepath.Join(root, "wav", "t", "link.wav")); err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Key: "README"},
		{Key: "lost+found", Foreign: true},
		{Key: "music/t/a.mp3"},
		{Key: "music/t/result.json"},
		{Key: "music/u/a.mp3"},
		{Key: "wav/t/a b", Foreign: true},
		{Key: "wav/t/a.wav"},
		{Key: "wav/t/a.wav.18a1b2c3d4e5f607.tmp", Temporary: true},
		{Key: "wav/t/a.wav.attrs", Foreign: true},
		{Key: "wav/t/deeper/still/x"},
		{Key: "wav/t/link.wav", Foreign: true},
		{Key: "wav/t/notes.tmp", Foreign: true},
	}
	if got := list(t, archive, ""); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := list(t, archive, "music"); !slices.Equal(got, want[2:5]) {
		t.Errorf("music: %v", got)
	}
	if got := list(t, archive, "cover"); len(got) != 0 {
		t.Errorf("a folder that is not there: %v", got)
	}
}

func TestListObjects(t *testing.T) {
	s := newStore(t)
	archive := s.open(t, "prefix", "media/")
	for _, key := range []string{"media/music/t/a.mp3", "media/music/t/result.json", "media/wav/t/a b", "music/t/a.mp3", "media/music-2/x"} {
		if err := s.open(t).bucket.WriteAll(t.Context(), key, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	want := []Entry{{Key: "music-2/x"}, {Key: "music/t/a.mp3"}, {Key: "music/t/result.json"}, {Key: "wav/t/a b", Foreign: true}}
	if got := list(t, archive, ""); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := list(t, archive, "music"); !slices.Equal(got, want[1:3]) {
		t.Errorf("music: %v", got)
	}
}

// However many files a folder holds, they are all listed, and a caller may stop.
func TestListInBatches(t *testing.T) {
	const files = 3*listBatch + 1
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			open := kind(t)
			archive := open()
			for n := range files {
				if err := archive.replace(t.Context(), fmt.Sprintf("wav/t/%d", n), []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			if got := list(t, archive, ""); len(slices.Compact(got)) != files {
				t.Errorf("%d listed", len(got))
			}
			seen := 0
			for _, err := range archive.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				if seen++; seen == 10 {
					break
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var last error
			seen = 0
			for _, err := range archive.List(ctx, "") {
				if last = err; err != nil {
					break
				}
				if seen++; seen == 10 {
					cancel()
				}
			}
			// A page of a store's list may be the last by then.
			if last != nil && (!errors.Is(last, context.Canceled) || errors.Is(last, ErrArchive)) || last == nil && archive.dir != nil {
				t.Errorf("cancelled: %v after %d", last, seen)
			}
		})
	}
}

func TestListFails(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			open := kind(t)
			for _, folder := range []string{"/", "wav/", "..", "a//b"} {
				for _, err := range open().List(t.Context(), folder) {
					if !errors.Is(err, ErrInvalid) {
						t.Errorf("%q: %v", folder, err)
					}
				}
			}
		})
	}
	archive, root := testArchive(t)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for _, err := range archive.List(t.Context(), "") {
		if failures++; !errors.Is(err, ErrArchive) {
			t.Errorf("got %v", err)
		}
	}
	if failures != 1 {
		t.Errorf("%d failures", failures)
	}
}

func TestIsTemporary(t *testing.T) {
	for name, want := range map[string]bool{
		"a.wav.18a1b2c3d4e5f607.tmp": true, "a.1.tmp": true, ".1.tmp": true, "a.wav.18a1b2c3d4e5f6070.tmp": false, "a.wav..tmp": false,
		"1.tmp": false, ".tmp": false, "tmp": false, "a.tmp": false, "a.x1.tmp": false, "a.1F.tmp": false, "a.1.tmp.wav": false, "": false,
	} {
		if got := isTemporary(name); got != want {
			t.Errorf("isTemporary(%q) = %t", name, got)
		}
	}
}
