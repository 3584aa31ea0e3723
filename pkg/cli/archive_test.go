package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"fanfare/pkg/callback"
	"fanfare/pkg/media"
	"fanfare/pkg/result"
)

// testArchive is an archive with tasks whose files are as their manifests say.
type testArchive struct{ dir string }

func newTestArchive(t *testing.T) testArchive {
	t.Helper()
	a := testArchive{filepath.Join(t.TempDir(), "archive")}
	for _, task := range []struct {
		typ callback.Type
		id  callback.TaskID
	}{{"music", "m1"}, {"music", "m*2"}, {"wav", "w.1"}} {
		a.add(t, task.typ, task.id, "1.mp3", "2.mp3")
	}
	return a
}

// add archives a task with the named files, and a manifest that names one more,
// which was given up.
func (a testArchive) add(t *testing.T, typ callback.Type, id callback.TaskID, names ...string) {
	t.Helper()
	archive, err := media.OpenArchive(t.Context(), "file://"+a.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	offered := make([]result.Media, len(names), len(names)+1)
	for i, name := range names {
		content := fmt.Appendf(nil, "%s %s %s", typ, id, name)
		sum := sha256.Sum256(content)
		key := callback.Key(typ, id, "/") + "/" + name
		a.put(t, key, string(content))
		offered[i] = result.Media{Name: name, SourceURL: "https://x.test/", Key: key, Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	}
	offered = append(offered, result.Media{Name: "lost.mp3", SourceURL: "https://x.test/", Error: "gone"})
	doc := result.New(callback.Callback{Type: typ, TaskID: id, Stage: callback.Complete, Code: 200, Received: time.Now()}, offered)
	doc.Settle(time.Now())
	body, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := archive.PutManifest(t.Context(), doc.Key(media.ManifestName), body); err != nil {
		t.Fatal(err)
	}
}

func (a testArchive) put(t *testing.T, key, content string) {
	t.Helper()
	path := filepath.Join(a.dir, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a testArchive) remove(t *testing.T, key string) {
	t.Helper()
	if err := os.Remove(filepath.Join(a.dir, filepath.FromSlash(key))); err != nil {
		t.Fatal(err)
	}
}

// spoil does damage of every kind, and leaves what is worth a note.
func (a testArchive) spoil(t *testing.T) {
	t.Helper()
	for n, id := range []callback.TaskID{"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"} {
		a.add(t, "cover", id, fmt.Sprintf("%d.png", n))
	}
	a.remove(t, "cover/d0/0.png")
	a.put(t, "cover/d1/1.png", "cover d1 1.pn")
	a.put(t, "cover/d2/2.png", "cover d2 2.pnG")
	a.remove(t, "cover/d3/3.png")
	if err := os.MkdirAll(filepath.Join(a.dir, "cover", "d3", "3.png"), 0o700); err != nil {
		t.Fatal(err)
	}
	a.put(t, "cover/d3/3.png/x", "")
	a.put(t, "cover/d4/result.json", `{"type":"cover"`)
	a.put(t, "cover/d5/result.json", `{"type":"cover","task_id":"d6","media":[]}`)
	a.put(t, "cover/d6/result.json", `{"type":"cover","task_id":"d6","media":[{"name":"6.png","key":"cover/d7/7.png","sha256":"00","bytes":1}]}`)
	a.put(t, "cover/d7/result.json", strings.Repeat(" ", media.MaxManifestBytes+1))
	a.put(t, "cover/n1/1.png", "no manifest at all")
	a.put(t, "cover/n1/1.png.18a1b2c3d4e5f607.tmp", "half")
	a.put(t, "cover/n1/\x1b[2J.png", "terminal code")
	a.put(t, "cover/d1/more.png", "not named")
	a.put(t, "README", "")
}

// found is what is said of an archive that was spoilt.
func found() []string {
	return []string{
		"README unnamed note",
		"cover/d0/0.png missing damage",
		"cover/d1/1.png wrong_size damage",
		"cover/d1/more.png unnamed note",
		"cover/d2/2.png wrong_hash damage",
		"cover/d3/3.png missing damage",
		"cover/d3/3.png/x unnamed note",
		"cover/d4/result.json bad_manifest damage",
		"cover/d5/result.json bad_manifest damage",
		"cover/d6/result.json bad_manifest damage",
		"cover/d7/result.json bad_manifest damage",
		"cover/n1/\x1b[2J.png foreign note",
		"cover/n1/1.png temporary note",
		"cover/n1/1.png unnamed note",
	}
}

type verified struct {
	findings []string // sorted: key, without a temporary's time, problem, and which it is
	summary  struct{ Manifests, Files, Bytes, Damaged, Notes int64 }
}

// verify runs archive verify --json.
func verify(t *testing.T, status int, args ...string) verified {
	t.Helper()
	p := fanfare(t, append([]string{"archive", "verify", "--json"}, args...)...)
	if got := p.wait(); got != status {
		t.Errorf("status %d, want %d: %s", got, status, p.err.String())
	}
	return readVerified(t, p.out.String())
}

func readVerified(t *testing.T, output string) verified {
	t.Helper()
	var v verified
	for line := range strings.Lines(output) {
		var object struct {
			Key     string `json:"key"`
			Problem string `json:"problem"`
			Damage  bool   `json:"damage"`
			Summary *struct {
				Manifests int64 `json:"manifests"`
				Files     int64 `json:"files"`
				Bytes     int64 `json:"bytes"`
				Damaged   int64 `json:"damaged"`
				Notes     int64 `json:"notes"`
			} `json:"summary"`
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if object.Summary != nil {
			v.summary = struct{ Manifests, Files, Bytes, Damaged, Notes int64 }(*object.Summary)
			continue
		}
		which := "note"
		if object.Damage {
			which = "damage"
		}
		key, _, _ := strings.Cut(object.Key, ".png.1")
		if key != object.Key {
			key += ".png"
		}
		v.findings = append(v.findings, key+" "+object.Problem+" "+which)
	}
	slices.Sort(v.findings)
	return v
}

func TestArchiveVerify(t *testing.T) {
	t.Parallel()
	a := newTestArchive(t)
	whole := verify(t, 0, "--archive-url", "file://"+a.dir)
	if len(whole.findings) != 0 || whole.summary.Manifests != 3 || whole.summary.Files != 6 || whole.summary.Bytes < 60 {
		t.Errorf("whole: %+v", whole)
	}
	a.spoil(t)
	before := tree(t, a.dir)
	for _, args := range [][]string{{"--archive-url", "file://" + a.dir}, {"--data-dir", filepath.Dir(a.dir), "--workers", "1"}, {"--type", "cover", "--archive-url", "file://" + a.dir}} {
		spoilt := verify(t, 1, args...)
		want := found()
		if args[0] == "--type" {
			want = want[1:] // README lies elsewhere
		}
		if !slices.Equal(spoilt.findings, want) {
			t.Errorf("%v:\n%s\nwant\n%s", args, strings.Join(spoilt.findings, "\n"), strings.Join(want, "\n"))
		}
		if s := spoilt.summary; s.Damaged != 8 || s.Notes != int64(len(want))-8 {
			t.Errorf("%v: %+v", args, s)
		}
	}
	if music := verify(t, 0, "--type", "music", "--archive-url", "file://"+a.dir); len(music.findings) != 0 || music.summary.Files != 4 {
		t.Errorf("music: %+v", music)
	}
	if none := verify(t, 0, "--type", "video", "--archive-url", "file://"+a.dir); len(none.findings) != 0 || none.summary.Manifests != 0 {
		t.Errorf("video: %+v", none)
	}
	if after := tree(t, a.dir); after != before {
		t.Errorf("the archive was changed:\n%s\nbefore\n%s", after, before)
	}
}

// tree lists what lies below a directory, with sizes and times.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			_, _ = fmt.Fprintln(&b, path, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestArchiveVerifyForPeople(t *testing.T) {
	t.Parallel()
	a := newTestArchive(t)
	p := fanfare(t, "archive", "verify", "--archive-url", "file://"+a.dir)
	if status := p.wait(); status != 0 || !strings.HasPrefix(p.out.String(), "3 manifests, 6 files with ") || p.err.String() != "" {
		t.Errorf("whole: status %d, %q, %q", status, p.out.String(), p.err.String())
	}
	a.spoil(t)
	p = fanfare(t, "archive", "verify", "--archive-url", "file://"+a.dir)
	status := p.wait()
	said := p.out.String()
	if status != 1 || !strings.HasPrefix(said, "PROBLEM       KEY\n") || !strings.HasSuffix(said, ": 8 damaged, 6 notes\n") {
		t.Errorf("spoilt: status %d:\n%s", status, said)
	}
	for _, line := range []string{"missing       cover/d0/0.png\n", "wrong_size    cover/d1/1.png: 13 bytes, want 14\n", "foreign       \"cover/n1/\\x1b[2J.png\"\n"} {
		if !strings.Contains(said, line) {
			t.Errorf("it does not say %q:\n%s", line, said)
		}
	}
	if said := p.err.String(); said != "fanfare: the archive is damaged\n" {
		t.Errorf("on stderr: %q", said)
	}
}

func TestArchiveVerifyMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"--archive-url", "file://" + dir + "/none"},
		{"--data-dir", dir + "/none"},
		{"--archive-url", "gs://bucket"},
		{"--archive-url", "s3://bucket/path?region=x"},
		{"--archive-url", "file://" + dir, "--type", "../music"},
		{"--archive-url", "file://" + dir, "--workers", "0"},
	} {
		p := fanfare(t, append([]string{"archive", "verify"}, args...)...)
		if status := p.wait(); status != 1 || p.out.String() != "" || !strings.HasPrefix(p.err.String(), "fanfare: ") {
			t.Errorf("%v: status %d, %q, %q", args, status, p.out.String(), p.err.String())
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("made %v, %v", entries, err)
	}
}

// A folder of very many files, and very many folders, are judged all the same.
func TestArchiveVerifyMany(t *testing.T) {
	t.Parallel()
	a := testArchive{filepath.Join(t.TempDir(), "archive")}
	names := make([]string, 600)
	for i := range names {
		names[i] = fmt.Sprintf("%d.mp3", i)
	}
	a.add(t, "music", "large", names...)
	for i := range 300 {
		a.add(t, "wav", callback.TaskID(fmt.Sprintf("t%d", i)), "1.wav")
	}
	a.put(t, "music/large/599.mp3", "spoilt")
	v := verify(t, 1, "--archive-url", "file://"+a.dir, "--workers", "8")
	if !slices.Equal(v.findings, []string{"music/large/599.mp3 wrong_size damage"}) || v.summary.Files != 900 || v.summary.Manifests != 301 {
		t.Errorf("got %+v", v)
	}
}

// The same holds for an archive in S3.
func TestArchiveVerifyS3(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	a := newTestArchive(t)
	backend := s3mem.New()
	if err := backend.CreateBucket("media"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	defer server.Close()
	query := url.Values{"region": {"eu-central-1"}, "endpoint": {server.URL}, "use_path_style": {"true"}, "prefix": {"archive/"}}
	location := "s3://media?" + query.Encode()
	upload := func() {
		err := filepath.WalkDir(a.dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || strings.Contains(path, "\x1b") { // which XML cannot hold
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			key := "archive/" + filepath.ToSlash(strings.TrimPrefix(path, a.dir+"/"))
			_, err = backend.PutObject("media", key, nil, bytes.NewReader(content), int64(len(content)), nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	upload()
	if whole := verify(t, 0, "--archive-url", location); len(whole.findings) != 0 || whole.summary.Files != 6 {
		t.Errorf("whole: %+v", whole)
	}
	a.spoil(t)
	upload()
	want := slices.DeleteFunc(found(), func(line string) bool { return strings.Contains(line, "\x1b") })
	for i, line := range want {
		want[i] = strings.Replace(line, "temporary", "foreign", 1) // a store has none
	}
	if spoilt := verify(t, 1, "--archive-url", location); !slices.Equal(spoilt.findings, want) {
		t.Errorf("spoilt:\n%s\nwant\n%s", strings.Join(spoilt.findings, "\n"), strings.Join(want, "\n"))
	}
	server.Close()
	p := fanfare(t, "archive", "verify", "--archive-url", location)
	if status := p.wait(); status != 1 || p.out.String() != "" || strings.Contains(p.err.String(), "test-secret") {
		t.Errorf("without a store: status %d, %q, %q", status, p.out.String(), p.err.String())
	}
}
