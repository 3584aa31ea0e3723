package cli_test

import (
	"crypto/sha256"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mediaBytes is the size of every file that a media host has.
const mediaBytes = 200_000

// contentOf is the file at a path: different at each, and the same each time.
func contentOf(at string) []byte {
	content := make([]byte, mediaBytes)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(at))).Read(content)
	copy(content, map[string]string{
		".wav":  "RIFF\x24\x00\x00\x00WAVEfmt ",
		".mp3":  "ID3\x03\x00\x00\x00\x00\x00\x10TIT2\x00\x00\x00\x05\x00\x00\x00test\x00",
		".jpeg": "\xff\xd8\xff\xe0\x00\x10JFIF\x00",
	}[path.Ext(at)])
	return content
}

// mediaHost serves every file that it is asked for, counts, and can hold files
// back.
type mediaHost struct {
	addr string
	slow time.Duration // what each file takes

	mu       sync.Mutex
	requests map[string]int // by path
	suffix   string         // of the paths whose files are held back; "": of none
	half     bool           // after half of the file, and not before the answer's head
	gate     chan struct{}  // closed when they are let go
	held     map[string]bool
}

func startMediaHost(tb testing.TB) *mediaHost {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	h := &mediaHost{addr: listener.Addr().String(), requests: make(map[string]int), gate: make(chan struct{}), held: make(map[string]bool)}
	server := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(func() { _ = server.Close() })
	return h
}

// hold holds the files back whose paths end so.
func (h *mediaHost) hold(suffix string, half bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.suffix, h.half, h.gate = suffix, half, make(chan struct{})
}

// release lets go what is held back, and all that follows.
func (h *mediaHost) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.suffix != "" {
		close(h.gate)
	}
	h.suffix = ""
}

// holds is how many requests are held back.
func (h *mediaHost) holds() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

// asked is how often each path was asked for.
func (h *mediaHost) asked() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.requests)
}

// enter counts a request and says at which byte it waits, and for what.
func (h *mediaHost) enter(at string) (pause int, gate <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests[at]++
	switch {
	case h.suffix == "" || !strings.HasSuffix(at, h.suffix):
		return mediaBytes, nil
	case h.half:
		return mediaBytes / 2, h.gate
	default:
		return 0, h.gate
	}
}

func (h *mediaHost) mark(at string, held bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if held {
		h.held[at] = true
	} else {
		delete(h.held, at)
	}
}

// ServeHTTP answers with the file, or with as much as it may until it is let go
// or the client is dead.
func (h *mediaHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content := contentOf(r.URL.Path)
	pause, gate := h.enter(r.URL.Path)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	<-time.After(h.slow)
	if pause > 0 {
		_, _ = w.Write(content[:pause])
	}
	if gate != nil {
		if pause > 0 {
			_ = http.NewResponseController(w).Flush()
		}
		h.mark(r.URL.Path, true)
		defer h.mark(r.URL.Path, false)
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	_, _ = w.Write(content[pause:])
}
