package simulate

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gabriel-vasile/mimetype"
)

func TestMediaAreRecognised(t *testing.T) {
	t.Parallel()
	for k, want := range map[kind]string{
		mp3: "audio/mpeg", jpg: "image/jpeg", mp4: "video/mp4", riff: "audio/wav", png: "image/png",
	} {
		for n := range 20 {
			content := mustContent(t, asset{seed: uint64(n), name: "x", kind: k})
			if got := mimetype.Detect(content); !got.Is(want) {
				t.Errorf("recognised as %s, want %s", got, want)
			}
			if len(content) < 4<<10 || len(content) > 64<<10 {
				t.Errorf("%s of %d bytes", want, len(content))
			}
		}
	}
}

func TestMediaAreRecognisedByFile(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/bin/file"); err != nil {
		t.Skipf("the program file is not installed: %v", err)
	}
	for k, want := range map[kind]string{
		mp3: "layer III", jpg: "JPEG image data", mp4: "ISO Media", riff: "WAVE audio", png: "PNG image data",
	} {
		for seed := range uint64(6) {
			path := filepath.Join(t.TempDir(), "media")
			if err := os.WriteFile(path, mustContent(t, asset{seed: seed, name: "x", kind: k}), 0o600); err != nil {
				t.Fatal(err)
			}
			said, err := exec.CommandContext(t.Context(), "/usr/bin/file", "--brief", path).Output()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(said), want) {
				t.Errorf("recognised as %q, want %q", said, want)
			}
		}
	}
}

func TestMediaDiffer(t *testing.T) {
	t.Parallel()
	known := make(map[string]string)
	for _, seed := range []uint64{1, 2} {
		p := testPlan(seed, 50, Hostility{})
		for i := range p.ids {
			for _, a := range writeTask(t, p, i).assets {
				digest, _, err := a.sum()
				if err != nil {
					t.Fatal(err)
				}
				if other, taken := known[digest]; taken {
					t.Fatalf("%s and %s have the same content", a.name, other)
				}
				known[digest] = a.name
			}
		}
	}
}

func mustContent(t *testing.T, a asset) []byte {
	t.Helper()
	content, err := a.content()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestMediaServer(t *testing.T) {
	t.Parallel()
	s, err := New(Options{
		Logger: discard(), Results: &records{}, MediaListen: "127.0.0.1:0",
		MediaURL: "http://media.example/files/", Seed: 1, Tasks: 12, Hostility: Hostility{NoMediaFaults: faultNames()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.canary.stop()
	served := make(chan error, 1)
	go func() { served <- s.media.serve() }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	base := "http://" + s.MediaAddr() + "/files"
	for i := range s.plan.ids {
		planned := writeTask(t, s.plan, i)
		for _, a := range planned.assets {
			if status, _ := get(t, client, http.MethodGet, base+a.paths[0]); status != http.StatusNotFound {
				t.Errorf("%s before its task began: %d", a.paths[0], status)
			}
		}
		s.media.offer(planned.assets)
		for _, a := range planned.assets {
			for _, path := range a.paths {
				status, body := get(t, client, http.MethodGet, base+path)
				if status != http.StatusOK || !bytes.Equal(body, mustContent(t, a)) {
					t.Errorf("%s: %d with %d bytes", path, status, len(body))
				}
			}
		}
	}
	checkAnswers(t, client, s, base)
	s.media.stop(t.Context())
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// checkAnswers asks for what is there and for what is not.
func checkAnswers(t *testing.T, client *http.Client, s *Simulator, base string) {
	t.Helper()
	known := writeTask(t, s.plan, 0).assets[0].paths[0]
	for _, c := range []struct {
		method, url string
		want        int
	}{
		{http.MethodHead, base + known, http.StatusOK},
		{http.MethodPost, base + known, http.StatusMethodNotAllowed},
		{http.MethodGet, base + known + "x", http.StatusNotFound},
		{http.MethodGet, base + known + "?x=1", http.StatusNotFound},
		{http.MethodGet, "http://" + s.MediaAddr() + known, http.StatusNotFound},
		{http.MethodGet, base + "/", http.StatusNotFound},
	} {
		if status, _ := get(t, client, c.method, c.url); status != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.url, status, c.want)
		}
	}
}

// get sends a request without a body and returns the answer.
func get(t *testing.T, client *http.Client, method, url string) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}
