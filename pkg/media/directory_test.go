package media

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOpenArchive(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	server := serveBytes(t, wav(8000))
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	tests := []struct {
		name string
		url  string
		root string
	}{
		{"absolute", "file://" + dir + "/a/b/c", "a/b/c"},
		{"localhost", "file://localhost" + dir + "/d", "d"},
		{"relative", "file://./e/f", "e/f"},
		{"user's parameters", "file://" + dir + "/g?dir_file_mode=0750", "g"},
		{"user's contrary parameters", "file://" + dir + "/h?metadata=&no_tmp_dir=", "h"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			archive, err := OpenArchive(t.Context(), test.url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(server.URL), nil); err != nil {
				t.Error(err)
			}
			if found := files(t, filepath.Join(dir, test.root)); !slices.Equal(found, []string{"wav/t/a.wav"}) {
				t.Errorf("archive holds %s", found)
			}
			if err := archive.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	info, err := os.Stat(filepath.Join(dir, "g", "wav"))
	if err != nil || info.Mode().Perm()&^0o750 != 0 {
		t.Errorf("user's dir_file_mode: %v, %v", info.Mode(), err)
	}
}

func TestOpenArchiveRefuses(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", "")
	tests := []struct {
		name string
		url  string
		want error
	}{
		{"unknown parameter", "file://" + dir + "/a?prefix=x", ErrInvalid},
		{"below a file", "file://" + dir + "/file/a", ErrArchive},
		{"a file", "file://" + dir + "/file", ErrInvalid},
		{"host", "file://archive/a", ErrInvalid},
		{"no path", "file://", ErrInvalid},
		{"opaque", "file:a", ErrInvalid},
		{"no scheme", dir + "/a", ErrInvalid},
		{"unknown scheme", "gs://bucket", ErrInvalid},
		{"free bytes that are no number", "file://" + dir + "/a?min_free_bytes=1GiB", ErrInvalid},
		{"less than nothing free", "file://" + dir + "/a?min_free_bytes=-1", ErrInvalid},
		{"free bytes of nothing", "file://" + dir + "/a?min_free_bytes=", ErrInvalid},
		{"memory", "mem://", ErrInvalid},
		{"unreadable", "file://[::1", ErrInvalid},
		{"empty", "", ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := OpenArchive(t.Context(), test.url); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// helperRoot names the environment variable that turns a run of this test
// binary into a process that dies with an upload in hand.
const helperRoot = "FANFARE_MEDIA_TEST_ROOT"

func TestHelperProcess(t *testing.T) {
	root := os.Getenv(helperRoot)
	if root == "" {
		t.Skip("not started by TestSweep")
	}
	up, err := openTestArchive(t, root).begin(t.Context(), "wav/t/a.wav", newWAV())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Write(wav(8000)); err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.WriteString("ready\n")
	<-t.Context().Done()
}

// What a killed process left is removed by the next upload beside it; what a
// living one is writing stays, as does what only looks like a temporary.
func TestSweep(t *testing.T) {
	archive, root := testArchive(t)
	living, err := archive.begin(t.Context(), "wav/t/b.wav", newWAV())
	if err != nil {
		t.Fatal(err)
	}
	defer living.abort()
	put(t, root, "wav/t/notes.tmp", "")
	put(t, root, "wav/other/a.wav.1234abcd.tmp", "")
	before := files(t, root)

	killHelper(t, root)
	left := files(t, root)
	if len(left) != len(before)+1 {
		t.Fatalf("the killed process left %s, before it %s", left, before)
	}
	if slices.Contains(left, "wav/t/a.wav") {
		t.Error("a partial file is visible")
	}

	next, err := openTestArchive(t, root).begin(t.Context(), "wav/t/c.wav", newWAV())
	if err != nil {
		t.Fatal(err)
	}
	next.abort()
	if after := files(t, root); !slices.Equal(after, before) {
		t.Errorf("archive holds %s, want %s", after, before)
	}
	if _, err := living.Write(wav(8000)); err != nil {
		t.Fatal(err)
	}
	if err := living.commit(); err != nil {
		t.Error(err)
	}
}

// killHelper starts a process on the archive and kills it amid an upload.
func killHelper(t *testing.T, root string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := exec.CommandContext(t.Context(), self, "-test.run=^TestHelperProcess$", "-test.timeout="+(2*patience).String())
	helper.Env = append(os.Environ(), helperRoot+"="+root)
	output := make(firstLine, 1)
	helper.Stdout = output
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-output:
		if !strings.Contains(line, "ready") {
			t.Errorf("helper said %q", line)
		}
	case <-time.After(patience):
		t.Error("helper is not ready")
	}
	_ = helper.Process.Kill()
	_ = helper.Wait()
}

// firstLine passes on the first thing written to it.
type firstLine chan string

func (f firstLine) Write(p []byte) (int, error) {
	select {
	case f <- string(bytes.Clone(p)):
	default:
	}
	return len(p), nil
}

func TestNearestPresent(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir: dir, filepath.Join(dir, "a"): dir, filepath.Join(dir, "a", "b", "c"): dir, "/": "/",
	} {
		if got := nearestPresent(path); got != want {
			t.Errorf("nearestPresent(%q) = %q, want %q", path, got, want)
		}
	}
}

// An upload whose temporary fails is the archive's failure, and leaves nothing.
func TestUploadFails(t *testing.T) {
	archive, root := testArchive(t)
	up, err := archive.begin(t.Context(), "wav/t/a.wav", newWAV())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(up.temp.Name()); err != nil {
		t.Fatal(err)
	}
	if err := archiveError(t.Context(), up.commit()); !errors.Is(err, ErrArchive) {
		t.Errorf("got %v", err)
	}
	if found := files(t, root); len(found) != 0 {
		t.Errorf("archive holds %s", found)
	}
}
