package media

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of some MiB, or skips the test where it may not.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("a tmpfs cannot be mounted here, so the disk cannot be filled (TestFileLimit stands in): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves the given number of bytes of a disk, and returns how to make room
// again.
func fill(t *testing.T, dir string, leave int64) (release func()) {
	t.Helper()
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ballast")
	if err := os.WriteFile(path, make([]byte, int64(stat.Bavail)*stat.Bsize-leave), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A full disk refuses what is new, leaves no debris and spoils nothing; once there
// is room the archive works again by itself.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "size=8m")
	root := filepath.Join(dir, "archive")
	archive, err := OpenArchive(t.Context(), (&url.URL{Scheme: "file", Path: root, RawQuery: "min_free_bytes=2097152"}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback(), OnFailure: func(e *FetchError) { t.Errorf("media host is blamed: %v", e) }})
	first, second := serveBytes(t, wav(1<<20)), serveBytes(t, wav(3<<19))
	const key, manifest = "wav/t/a.wav", "wav/t/" + ManifestName
	if _, err := archive.Store(t.Context(), f, key, wavAsset(first.URL), nil); err != nil {
		t.Fatal(err)
	}
	if err := archive.PutManifest(t.Context(), manifest, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(archive.Check(t.Context()), archive.Probe(t.Context())); err != nil {
		t.Errorf("with room: %v", err)
	}

	release := fill(t, dir, 256<<10)
	for range 3 {
		if _, err := archive.Store(t.Context(), f, "wav/u/b.wav", wavAsset(second.URL), nil); !errors.Is(err, ErrArchive) || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("Store: %v", err)
		}
	}
	if err := archive.PutManifest(t.Context(), manifest, make([]byte, 1<<20)); !errors.Is(err, ErrArchive) {
		t.Errorf("PutManifest: %v", err)
	}
	if err := archive.Probe(t.Context()); !errors.Is(err, ErrArchive) {
		t.Errorf("Probe: %v", err)
	}
	if err := archive.Check(t.Context()); !errors.Is(err, ErrArchive) {
		t.Errorf("Check: %v", err)
	}
	if found := files(t, root); !slices.Equal(found, []string{key, manifest}) {
		t.Errorf("archive holds %s", found)
	}
	if file, err := archive.Hash(t.Context(), key); err != nil || file.SHA256 != sha(wav(1<<20)) {
		t.Errorf("the first file: %+v, %v", file, err)
	}
	if body, err := archive.Manifest(t.Context(), manifest); err != nil || string(body) != "{}" {
		t.Errorf("the manifest: %q, %v", body, err)
	}

	release()
	if err := errors.Join(archive.Check(t.Context()), archive.Probe(t.Context())); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if file, err := archive.Store(t.Context(), f, "wav/u/b.wav", wavAsset(second.URL), nil); err != nil || file.SHA256 != sha(wav(3<<19)) {
		t.Errorf("Store: %+v, %v", file, err)
	}
}

// A disk may be out of files before it is out of bytes.
func TestDiskWithoutInodes(t *testing.T) {
	dir := smallDisk(t, "size=8m,nr_inodes=8")
	root := filepath.Join(dir, "archive")
	archive := openTestArchive(t, root)
	server := serveBytes(t, wav(8000))
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	stored, refused := 0, error(nil)
	for n := range 8 {
		_, err := archive.Store(t.Context(), f, fmt.Sprintf("wav/%d/a.wav", n), wavAsset(server.URL), nil)
		if err != nil {
			refused = err
			break
		}
		stored++
	}
	if stored == 0 || !errors.Is(refused, ErrArchive) || !errors.Is(refused, unix.ENOSPC) {
		t.Errorf("%d stored, then %v", stored, refused)
	}
	if found := files(t, root); len(found) != stored {
		t.Errorf("archive holds %s", found)
	}
}

// helperLimit names the environment variable that turns a run of this test binary
// into a process that may write files of 64 KiB only.
const helperLimit = "FANFARE_MEDIA_TEST_LIMIT"

func TestHelperFileLimit(t *testing.T) {
	root := os.Getenv(helperLimit)
	if root == "" {
		t.Skip("not started by TestFileLimit")
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 10, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	archive := openTestArchive(t, root)
	server := serveBytes(t, wav(1<<20))
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	if err := archive.PutManifest(t.Context(), "wav/t/result.json", []byte("{}")); err != nil {
		t.Error(err)
	}
	if _, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(server.URL), nil); !errors.Is(err, ErrArchive) {
		t.Errorf("Store: %v", err)
	}
	if err := archive.PutManifest(t.Context(), "wav/t/result.json", make([]byte, 1<<20)); !errors.Is(err, ErrArchive) {
		t.Errorf("PutManifest: %v", err)
	}
	if err := archive.Probe(t.Context()); !errors.Is(err, ErrArchive) {
		t.Errorf("Probe: %v", err)
	}
	if body, err := archive.Manifest(t.Context(), "wav/t/result.json"); err != nil || string(body) != "{}" {
		t.Errorf("the manifest: %q, %v", body, err)
	}
	if found := files(t, root); len(found) != 1 {
		t.Errorf("archive holds %s", found)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(server.URL), nil); err != nil {
		t.Errorf("once it may: %v", err)
	}
}

// Where no disk can be filled, the kernel can still refuse to let a file grow.
func TestFileLimit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := exec.CommandContext(t.Context(), self, "-test.run=^TestHelperFileLimit$", "-test.timeout="+patience.String())
	helper.Env = append(os.Environ(), helperLimit+"="+filepath.Join(t.TempDir(), "archive"))
	if output, err := helper.CombinedOutput(); err != nil || !bytes.Contains(output, []byte("PASS")) {
		t.Errorf("%v\n%s", err, output)
	}
}
