package consume

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/callback"
	"fanfare/pkg/media"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
)

// TestManifestIsNotTakenBack puts the manifest of a result of whose state the bucket does not know yet, as a replica of
// it that lags does not, and then of one that the bucket has left behind.
func TestManifestIsNotTakenBack(t *testing.T) {
	t.Parallel()
	results, dir := natstest.Provisioned(t, natstest.Start(t, t.TempDir(), "")).Results(), t.TempDir()
	archive, err := media.OpenArchive(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	a, err := NewArchiver(prometheus.NewRegistry(), Spec{Type: "wav"}, results, archive, media.FetcherOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	state := func(stage callback.Stage) result.Document {
		doc := result.New(callback.Callback{Type: "wav", TaskID: "t", Stage: stage, Code: 200},
			[]result.Media{{Name: "audio.wav", Key: "wav/t/audio.wav", Bytes: 1, SHA256: "00"}})
		doc.Archive = result.Archived
		return doc
	}
	earlier, later := state(callback.First), state(callback.Complete)
	known, err := results.Merge(t.Context(), earlier)
	if err != nil {
		t.Fatal(err)
	}
	for _, put := range []struct {
		what     string
		doc      result.Document
		revision uint64
	}{
		{"the bucket lags", later, known.Revision + 1},
		{"the bucket is ahead", later, known.Revision - 1},
	} {
		if err := a.putManifest(t.Context(), put.doc, put.revision); err != nil {
			t.Fatal(err)
		}
		want := put.doc
		if put.revision < known.Revision {
			want = known.After
		}
		encoded, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(earlier.Key(media.ManifestName))))
		if err != nil || !bytes.Equal(manifest, encoded) {
			t.Errorf("%s: %s, want %s, %v", put.what, manifest, encoded, err)
		}
	}
}
