package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// lies says what lies in a task's folder, by name; of a temporary, whether it is
// empty, a part of its file or the whole.
func (r *rig) lies(tb testing.TB, id callback.TaskID) string {
	tb.Helper()
	folder := filepath.Join(r.archive, string(r.typ), string(id))
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".tmp") {
			names = append(names, entry.Name())
			continue
		}
		info, err := entry.Info()
		switch {
		case err != nil:
			names = append(names, "gone")
		case info.Size() == 0:
			names = append(names, "empty")
		case info.Size() < mediaBytes:
			names = append(names, "part")
		default:
			names = append(names, "whole")
		}
	}
	return strings.Join(names, " ")
}

// results returns every state that a task's result has had, oldest first.
func (r *rig) results(tb testing.TB, id callback.TaskID) []result.Document {
	tb.Helper()
	bucket, err := r.js.KeyValue(tb.Context(), "RESULTS")
	if err != nil {
		tb.Fatal(err)
	}
	var documents []result.Document
	entries, err := bucket.History(tb.Context(), callback.Key(r.typ, id, "."))
	if err != nil {
		return nil // there is none yet
	}
	for _, entry := range entries {
		var doc result.Document
		if err := json.Unmarshal(entry.Value(), &doc); err != nil {
			tb.Fatal(err)
		}
		documents = append(documents, doc)
	}
	return documents
}

// checkDone holds everything against what must be when all tasks are done, of
// whose files only those named again were downloaded twice.
func (r *rig) checkDone(tb testing.TB, again string) {
	tb.Helper()
	for _, id := range r.called {
		r.checkTask(tb, id)
	}
	r.checkAsked(tb, again)
	r.checkArchive(tb)
	if n := r.stored(tb, "DEAD_LETTERS"); n != 0 {
		tb.Errorf("%d dead letters", n)
	}
}

// checkTask holds all that there is of a finished task against what must be: its
// result went from pending to complete and no other way, and says what lies in
// its folder.
func (r *rig) checkTask(tb testing.TB, id callback.TaskID) {
	tb.Helper()
	documents := r.results(tb, id)
	var went []result.Archive
	for _, doc := range documents {
		went = append(went, doc.Archive)
	}
	if !slices.Equal(went, []result.Archive{result.Pending, result.Archived}) {
		tb.Errorf("%s: the result went %v", id, went)
		return
	}
	doc := documents[1]
	if doc.Outcome != result.Succeeded || len(doc.Conflicts) != 0 || doc.Statement != documents[0].Statement || !doc.Times.Received.Equal(documents[0].Times.Received) {
		tb.Errorf("%s: the result became %+v", id, doc)
	}
	if len(doc.Media) != len(r.files()) {
		tb.Errorf("%s: %d media, want %v", id, len(doc.Media), r.files())
		return
	}
	for i, name := range r.files() {
		r.checkFile(tb, mediaPath(id, name), doc.Media[i])
	}
	var manifest result.Document
	body, err := os.ReadFile(filepath.Join(r.archive, filepath.FromSlash(doc.Key("result.json"))))
	if err != nil {
		tb.Error(err)
	} else if err := json.Unmarshal(body, &manifest); err != nil || !reflect.DeepEqual(manifest, doc) {
		tb.Errorf("%s: the manifest is %s, %v", id, body, err)
	}
}

// checkFile holds a file in the archive, and what is said of it, against what the
// media host has.
func (r *rig) checkFile(tb testing.TB, at string, m result.Media) {
	tb.Helper()
	want := contentOf(at)
	sum := sha256.Sum256(want)
	if m.Key != string(r.typ)+at || m.Bytes != int64(len(want)) || m.SHA256 != hex.EncodeToString(sum[:]) || m.Error != "" || m.SourceURL != "http://"+r.host.addr+at {
		tb.Errorf("%s: the result says %+v", at, m)
	}
	if body, err := os.ReadFile(filepath.Join(r.archive, filepath.FromSlash(m.Key))); err != nil || !bytes.Equal(body, want) {
		tb.Errorf("%s: the file holds %d bytes, %v, that are not the media host's", at, len(body), err)
	}
}

// checkArchive looks for files that no task has, or that it has twice.
func (r *rig) checkArchive(tb testing.TB) {
	tb.Helper()
	want := make(map[string]bool)
	for _, id := range r.called {
		for _, name := range append(r.files(), "result.json") {
			want[string(r.typ)+mediaPath(id, name)] = true
		}
	}
	err := fs.WalkDir(os.DirFS(r.archive), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !want[path] {
			tb.Errorf("%s is in the archive", path)
		}
		delete(want, path)
		return err
	})
	if err != nil || len(want) != 0 {
		tb.Errorf("not in the archive: %v, %v", want, err)
	}
}

// checkAsked holds how often the media were asked for against once, or twice for
// those that again names.
func (r *rig) checkAsked(tb testing.TB, again string) {
	tb.Helper()
	asked := r.host.asked()
	for _, id := range r.called {
		for _, name := range r.files() {
			want := 1
			if name == again {
				want = 2
			}
			if got := asked[mediaPath(id, name)]; got != want {
				tb.Errorf("%s was asked for %d times, want %d", mediaPath(id, name), got, want)
			}
		}
	}
}

// stored is how many messages a stream holds.
func (r *rig) stored(tb testing.TB, stream string) int {
	tb.Helper()
	s, err := r.js.Stream(tb.Context(), stream)
	if err != nil {
		tb.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}
