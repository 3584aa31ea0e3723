package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// stopGrace bounds how long downloads may go on once the run is over.
const stopGrace = 2 * time.Second

// mediaServer serves the files of the tasks that have begun, with the faults that
// were drawn for them, and nothing else.
type mediaServer struct {
	logger   *slog.Logger
	listener net.Listener
	server   *http.Server
	base     string   // how receivers reach it, without a final slash
	prefix   string   // of every path, without a final slash
	canary   *canary  // where traps lead to
	details  *details // nil: nobody can ask for a task
	faults   map[string]MediaFault

	hang time.Duration // how long silence lasts: longer than any careful client waits
	slow time.Duration // how late slowness begins, and how long it then takes

	mu       sync.RWMutex
	places   map[string]place // by path
	requests int64
	spoilt   map[string]int64 // requests that were answered badly, by the fault's name
}

// place is a path, and what is there.
type place struct {
	file  *file
	index int // among the file's paths
	hop   int // how many redirects lead here
}

// file is one asset as it is served.
type file struct {
	asset
	requests int64 // for it, on whatever path; guarded by the server's mu
}

// newMediaServer takes over the listener. base is how receivers reach it.
func newMediaServer(logger *slog.Logger, listener net.Listener, base, prefix string, canary *canary) *mediaServer {
	m := &mediaServer{
		logger: logger, listener: listener, base: base, prefix: prefix, canary: canary,
		hang: 20 * time.Second, slow: time.Second,
		places: make(map[string]place), faults: make(map[string]MediaFault), spoilt: make(map[string]int64),
	}
	for _, f := range MediaFaults() {
		m.faults[f.Name] = f
	}
	m.server = &http.Server{
		Handler:           m,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	return m
}

// offer makes the files available.
func (m *mediaServer) offer(assets []asset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range assets {
		f := &file{asset: a}
		for i, path := range a.paths {
			m.places[path] = place{file: f, index: i}
		}
		for i, path := range a.trouble.hops {
			m.places[path] = place{file: f, hop: i + 1}
		}
	}
}

// serve blocks until stop is called or serving fails.
func (m *mediaServer) serve() error {
	if err := m.server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("simulate: serve media on %s: %w", m.listener.Addr(), err)
	}
	return nil
}

// stop ends serve, giving downloads a moment to finish.
func (m *mediaServer) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := m.server.Shutdown(ctx); err == nil {
		return
	}
	if err := m.server.Close(); err != nil {
		m.logger.Debug("media listener not closed", "error", err)
	}
}

// ServeHTTP answers with a file, or badly, or with 404; and questions about tasks,
// which go to the same address.
func (m *mediaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.details != nil && m.details.serves(r.URL.Path) {
		m.details.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	path, under := strings.CutPrefix(r.URL.Path, m.prefix)
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	here, n, known := m.visit(path, r.Method)
	if !under || !known {
		http.NotFound(w, r)
		return
	}
	content, made := m.make(here.file.asset)
	switch {
	case !made:
		http.Error(w, "internal error", http.StatusInternalServerError)
	case n > 0:
		a := here.file.asset
		x := &exchange{
			w: w, server: m, request: r, asset: a, content: content, hop: here.hop,
			draws: newGenerator(a.seed, fmt.Sprintf("answer/%s/%d", a.name, n)),
		}
		m.faults[a.trouble.fault].forms[a.trouble.form].write(x)
	default:
		m.serveContent(w, r, here.file.asset, content)
	}
}

// visit returns what is at a path, and counts the request. n says which of the
// requests for the file it is, if it is to be answered badly; otherwise it is 0.
func (m *mediaServer) visit(path, method string) (here place, n int64, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	here, known = m.places[path]
	if !known || method != http.MethodGet {
		return here, 0, known
	}
	m.requests++
	here.file.requests++
	t := here.file.trouble
	if !t.spoilt(here.file.requests, here.index) {
		return here, 0, true
	}
	m.spoilt[t.fault]++
	return here, here.file.requests, true
}

// tally says how many requests for files there were, and how many of these were
// answered badly.
func (m *mediaServer) tally() (requests, spoilt int64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, n := range m.spoilt {
		spoilt += n
	}
	return m.requests, spoilt
}

// make makes a file's content, or logs why it cannot.
func (m *mediaServer) make(a asset) (content []byte, made bool) {
	content, err := a.content()
	if err != nil {
		m.logger.Error("media not made", "name", a.name, "error", err)
	}
	return content, err == nil
}

func (m *mediaServer) serveContent(w http.ResponseWriter, r *http.Request, a asset, content []byte) {
	w.Header().Set("Content-Type", a.kind.contentType())
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
