package ops

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ask asks a listener that has no network, so that its clock may be played.
func ask(tb testing.TB, o Options, path string) *httptest.ResponseRecorder {
	tb.Helper()
	o.Logger, o.Listen = slog.New(slog.DiscardHandler), "127.0.0.1:0"
	if o.Gatherer == nil {
		o.Gatherer = prometheus.NewRegistry()
	}
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = s.listener.Close() }()
	recorder := httptest.NewRecorder()
	s.server.Handler.ServeHTTP(recorder, httptest.NewRequestWithContext(tb.Context(), http.MethodGet, path, http.NoBody))
	return recorder
}

func TestCheckThatHangsIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		recorder := ask(t, Options{Checks: []Check{
			{"before", func(context.Context) error { return nil }},
			{"hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			{"after", func(ctx context.Context) error { return ctx.Err() }},
		}}, "/readyz")
		if took := time.Since(begun); took != checkWait {
			t.Errorf("answered after %s, want %s", took, checkWait)
		}
		const want = `{"ready":false,"checks":{"after":"context deadline exceeded","before":"ok","hangs":"context deadline exceeded"}}` + "\n"
		if body := recorder.Body.String(); recorder.Code != http.StatusServiceUnavailable || body != want {
			t.Errorf("%d %s, want %s", recorder.Code, body, want)
		}
	})
}

// hanging is a collector that waits for its channel's end.
type hanging chan struct{}

func (hanging) Describe(chan<- *prometheus.Desc)   {}
func (h hanging) Collect(chan<- prometheus.Metric) { <-h }

func TestScrapeThatHangsIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leave := make(chan struct{})
		defer close(leave)
		begun := time.Now()
		registry := prometheus.NewRegistry()
		registry.MustRegister(hanging(leave))
		recorder := ask(t, Options{Gatherer: registry}, "/metrics")
		if took := time.Since(begun); took != scrapeWait || recorder.Code != http.StatusServiceUnavailable {
			t.Errorf("answered %d after %s, want 503 after %s", recorder.Code, took, scrapeWait)
		}
	})
}

// A profile runs for as long as it was asked to; the process does not wait.
func TestProfileDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	handler := s.server.Handler
	s.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		handler.ServeHTTP(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	cut := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, "http://"+s.Addr().String()+"/debug/pprof/goroutine?seconds=25", http.NoBody)
		if err != nil {
			cut <- err
			return
		}
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		cut <- err
	}()
	<-entered
	begun := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if took := time.Since(begun); took > 3*drainWait {
		t.Errorf("run ended only after %s", took)
	}
	if err := <-cut; err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("the profile ended with %v", err)
	}
}
