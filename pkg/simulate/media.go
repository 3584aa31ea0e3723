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

// mediaServer serves the files of the tasks that have begun, and nothing else.
type mediaServer struct {
	logger   *slog.Logger
	listener net.Listener
	server   *http.Server
	prefix   string // of every path, without a final slash

	mu     sync.RWMutex
	assets map[string]asset // by path
}

func newMediaServer(logger *slog.Logger, listener net.Listener, prefix string) *mediaServer {
	m := &mediaServer{logger: logger, listener: listener, prefix: prefix, assets: make(map[string]asset)}
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
		for _, path := range a.paths {
			m.assets[path] = a
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

// ServeHTTP answers with a file, or with 404.
func (m *mediaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	path, under := strings.CutPrefix(r.URL.Path, m.prefix)
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	m.mu.RLock()
	a, known := m.assets[path]
	m.mu.RUnlock()
	if !under || !known {
		http.NotFound(w, r)
		return
	}
	content, err := a.content()
	if err != nil {
		m.logger.Error("media not made", "name", a.name, "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", a.kind.contentType())
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
