package media

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gocloud.dev/blob"
)

func TestStore(t *testing.T) {
	var requests atomic.Int64
	content := wav(48_000)
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = w.Write(content)
	})
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	archive, root := testArchive(t)
	want := File{
		SourceURL: server.URL + "/a.wav?sig=1", Key: "wav/task=2E1/a.wav", Bytes: int64(len(content)),
		SHA256: sha(content), ContentType: "audio/wav",
	}
	moved, calls := 0, 0
	file, err := archive.Store(t.Context(), f, want.Key, wavAsset(want.SourceURL), func(n int) { moved, calls = moved+n, calls+1 })
	if err != nil || file != want {
		t.Fatalf("got %+v, %v, want %+v", file, err, want)
	}
	if moved != len(content) || calls < 2 {
		t.Errorf("%d bytes moved in %d calls", moved, calls)
	}
	if stored, err := os.ReadFile(filepath.Join(root, want.Key)); err != nil || sha(stored) != want.SHA256 {
		t.Errorf("stored file differs: %v", err)
	}
	if found := files(t, root); !slices.Equal(found, []string{want.Key}) {
		t.Errorf("archive holds %s", found)
	}

	// Again, also by another process and with a URL that no longer works.
	want.SourceURL, moved = "", 0
	server.Close()
	again, err := openTestArchive(t, root).Store(
		t.Context(), f, want.Key, wavAsset(server.URL), func(n int) { moved += n })
	if err != nil || again != want || requests.Load() != 1 || moved != len(content) {
		t.Errorf("got %+v, %v after %d requests, %d bytes moved", again, err, requests.Load(), moved)
	}
	if hashed, err := archive.Hash(t.Context(), want.Key); err != nil || hashed != want {
		t.Errorf("Hash: %+v, %v", hashed, err)
	}
	if _, err := archive.Hash(t.Context(), "wav/task=2E1/b.wav"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrArchive) {
		t.Errorf("Hash of nothing: %v", err)
	}
}

func TestStoreFallsBack(t *testing.T) {
	gone, broken, good := serve(t, status(410)), serve(t, status(500)), serveBytes(t, mp3())
	truncated := serve(t, raw("HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n"+string(mp3())))
	tests := []struct {
		name   string
		urls   []string
		source string // "" for failure
		failed []Reason
	}{
		{"first works", []string{good.URL, gone.URL}, good.URL, nil},
		{"third works", []string{gone.URL, truncated.URL, good.URL}, good.URL, []Reason{ReasonGone, ReasonTruncated}},
		{"none works", []string{gone.URL, broken.URL}, "", []Reason{ReasonGone, ReasonHTTPStatus}},
		{"all gone", []string{gone.URL, "ftp://x.test/"}, "", []Reason{ReasonGone, ReasonBadURL}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var failed []Reason
			f := testFetcher(t, FetcherOptions{
				EgressAllow: loopback(), OnFailure: func(e *FetchError) { failed = append(failed, e.Reason) },
			})
			archive, _ := testArchive(t)
			file, err := archive.Store(t.Context(), f, "music/t/a.mp3", Asset{Name: "a.mp3", Kind: Audio, URLs: test.urls}, nil)
			if file.SourceURL != test.source || (err == nil) != (test.source != "") || !slices.Equal(failed, test.failed) {
				t.Errorf("got %+v, %v after failures %s", file, err, failed)
			}
			if err == nil {
				return
			}
			hopeless := !slices.ContainsFunc(failed, func(r Reason) bool { return !r.Permanent() })
			if failure := fetchFailure(t, err); failure.Permanent() != hopeless {
				t.Errorf("decided by %v", failure)
			}
			for _, reason := range failed {
				if !strings.Contains(err.Error(), string(reason)) {
					t.Errorf("%v does not tell of %s", err, reason)
				}
			}
		})
	}
}

func TestStoreInvalid(t *testing.T) {
	f := testFetcher(t, FetcherOptions{})
	archive, _ := testArchive(t)
	good := wavAsset("http://x.test/")
	tests := []struct {
		name  string
		key   string
		asset Asset
	}{
		{"key", "wav/../a", good},
		{"name", "wav/t/a", Asset{Name: "a/b", Kind: Audio, URLs: good.URLs}},
		{"no name", "wav/t/a", Asset{Kind: Audio, URLs: good.URLs}},
		{"kind", "wav/t/a", Asset{Name: "a", Kind: "text", URLs: good.URLs}},
		{"no URL", "wav/t/a", Asset{Name: "a", Kind: Audio}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := archive.Store(t.Context(), f, test.key, test.asset, nil); !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := archive.Hash(t.Context(), "/a"); !errors.Is(err, ErrInvalid) {
		t.Errorf("Hash: %v", err)
	}
}

// While a file is on its way there is a temporary and nothing else; when its
// caller gives up there is nothing.
func TestStoreCancelled(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(wav(48_000))
		_ = http.NewResponseController(w).Flush()
		hold(r)
	})
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	archive, root := testArchive(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var during []string
	arrived := 0
	_, err := archive.Store(ctx, f, "wav/t/a.wav", wavAsset(server.URL, server.URL), func(n int) {
		if arrived += n; arrived == len(wav(48_000)) {
			during = files(t, root)
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrArchive) {
		t.Errorf("got %v", err)
	}
	if _, ok := errors.AsType[*FetchError](err); ok {
		t.Errorf("%v blames the media host", err)
	}
	if len(during) != 1 || !strings.HasPrefix(during[0], "wav/t/a.wav.") || !strings.HasSuffix(during[0], ".tmp") {
		t.Errorf("during the transfer the archive held %s", during)
	}
	if found := files(t, root); len(found) != 0 {
		t.Errorf("archive holds %s", found)
	}
}

func TestHashCancelled(t *testing.T) {
	archive, root := testArchive(t)
	put(t, root, "wav/t/a", "content")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Hash(ctx, "wav/t/a"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrArchive) {
		t.Errorf("got %v", err)
	}
}

// Two processes store different content under one key at the same moment: both
// must describe the file that stays.
func TestStoreConcurrently(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	gated := func(content []byte) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(content)
			_ = http.NewResponseController(w).Flush()
			arrived <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}).URL
	}
	sources := []string{gated(wav(8000)), gated(wav(44_100))}
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	_, root := testArchive(t)
	type outcome struct {
		file File
		err  error
	}
	outcomes := make(chan outcome, len(sources))
	for _, source := range sources {
		archive := openTestArchive(t, root)
		go func() {
			file, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(source), nil)
			outcomes <- outcome{file, err}
		}()
	}
	<-arrived
	<-arrived
	close(release)
	first, second := <-outcomes, <-outcomes
	if first.err != nil || second.err != nil {
		t.Fatalf("got %v and %v", first.err, second.err)
	}
	stored, err := os.ReadFile(filepath.Join(root, "wav", "t", "a.wav"))
	if err != nil {
		t.Fatal(err)
	}
	if first.file.SHA256 != sha(stored) || second.file.SHA256 != sha(stored) {
		t.Errorf("described as %s and %s, is %s", first.file.SHA256, second.file.SHA256, sha(stored))
	}
	if (first.file.SourceURL == "") == (second.file.SourceURL == "") {
		t.Errorf("stored from %q and %q", first.file.SourceURL, second.file.SourceURL)
	}
	if found := files(t, root); !slices.Equal(found, []string{"wav/t/a.wav"}) {
		t.Errorf("archive holds %s", found)
	}
}

func TestArchiveUnavailable(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, root string)
	}{
		{"a file where a folder must be", func(t *testing.T, root string) { t.Helper(); put(t, root, "wav", "") }},
		{"a folder where the file must be", func(t *testing.T, root string) { t.Helper(); mkdir(t, root, "wav/t/a.wav") }},
		{"the archive is gone", func(t *testing.T, root string) {
			t.Helper()
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
		}},
	}
	server := serveBytes(t, wav(8000))
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback(), OnFailure: func(e *FetchError) {
		t.Errorf("media host is blamed: %v", e)
	}})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			archive, root := testArchive(t)
			test.spoil(t, root)
			_, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(server.URL, server.URL), nil)
			var failure *FetchError
			if !errors.Is(err, ErrArchive) || errors.As(err, &failure) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func mkdir(t *testing.T, root, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, path), 0o700); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, root, path, content string) {
	t.Helper()
	mkdir(t, root, filepath.Dir(path))
	if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// newWAV are the options of an upload that must not replace anything.
func newWAV() blob.WriterOptions {
	return blob.WriterOptions{ContentType: "audio/wav", IfNotExist: true}
}
