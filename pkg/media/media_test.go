package media

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	setAWS()
	goleak.VerifyTestMain(m)
}

// patience bounds what a test waits for; only a broken test comes near it.
const patience = 30 * time.Second

// loopback opens the addresses that test servers listen on.
func loopback() []string { return []string{"127.0.0.1", "::1"} }

func testFetcher(t *testing.T, options FetcherOptions) *Fetcher {
	t.Helper()
	return testFetcherWith(t, options, &net.Resolver{PreferGo: true})
}

func testFetcherWith(t *testing.T, options FetcherOptions, resolver *net.Resolver) *Fetcher {
	t.Helper()
	f, err := newFetcher(options, resolver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func testArchive(t *testing.T) (archive *Archive, root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "archive")
	return openTestArchive(t, root), root
}

func openTestArchive(t *testing.T, root string) *Archive {
	t.Helper()
	archive, err := OpenArchive(t.Context(), (&url.URL{Scheme: "file", Path: root}).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := archive.Close(); err != nil {
			t.Error(err)
		}
	})
	return archive
}

// serve starts a server whose handlers end when the test does, so that one that
// hangs cannot hold it up.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

func serveBytes(t *testing.T, content []byte) *httptest.Server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
}

// hold blocks a handler until its client has gone.
func hold(r *http.Request) { <-r.Context().Done() }

func wavAsset(urls ...string) Asset { return Asset{Name: "a.wav", Kind: Audio, URLs: urls} }

func sha(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// files lists the files below root as slash paths.
func files(t *testing.T, root string) []string {
	t.Helper()
	found := []string{}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(root, path)
		found = append(found, filepath.ToSlash(relative))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func fetchFailure(t *testing.T, err error) *FetchError {
	t.Helper()
	var failure *FetchError
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want a *FetchError", err)
	}
	if errors.Is(err, ErrArchive) || errors.Is(err, ErrInvalid) {
		t.Errorf("%v blames the archive or the caller", err)
	}
	return failure
}

func TestCheckKey(t *testing.T) {
	valid := []string{
		"a", "music/task/a.mp3", "music/=2E=2E/a", "wav/x-_=.y/0.wav", "a..b/c", "...", strings.Repeat("d", 255) + "/" + strings.Repeat("f", 234),
	}
	invalid := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/./b", "a b", "a\\b", "a\x00", "ä", "a?b", "a*b", "a:b",
		"a/x.tmp", "x.attrs", strings.Repeat("d", 256) + "/f", strings.Repeat("f", 235),
	}
	for _, key := range valid {
		if err := checkKey(key); err != nil {
			t.Errorf("checkKey(%q) = %v", key, err)
		}
	}
	for _, key := range invalid {
		if err := checkKey(key); !errors.Is(err, ErrInvalid) {
			t.Errorf("checkKey(%q) = %v, want ErrInvalid", key, err)
		}
	}
}
