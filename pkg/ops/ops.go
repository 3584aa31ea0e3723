// Package ops is the second listener, for operators: /metrics, /healthz, /readyz,
// /debug/pprof, /openapi.yaml and /asyncapi.yaml; and the set-up of logging.
//
// It is meant for a trusted network and listens on loopback by default. What is
// ready is decided by the checks it is given, each asked anew at every request.
package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	checkWait     = 3 * time.Second  // for all checks of one /readyz request
	headerWait    = 5 * time.Second  // for a request's headers
	drainWait     = 3 * time.Second  // at shutdown, for requests under way
	scrapeWait    = 10 * time.Second // for one /metrics request
	maxScrapes    = 4                // at the same time
	maxHeaderSize = 16 << 10
)

// Check is one thing that must be in order for the process to be ready.
type Check struct {
	Name string                      // as /readyz shows it
	Run  func(context.Context) error // why it is not in order, or nil
}

// Options configures a Server. Logger, Gatherer and Listen are required; the
// zero value of every other field selects the default written beside it.
type Options struct {
	Logger   *slog.Logger
	Gatherer prometheus.Gatherer
	Listen   string
	Checks   []Check // none: always ready
	OpenAPI  []byte  // no such route: the document that /openapi.yaml answers
	AsyncAPI []byte  // no such route: the document that /asyncapi.yaml answers
}

// Server is the operations listener.
type Server struct {
	listener net.Listener
	server   *http.Server
	checks   []Check
}

// New validates the options and binds the listener. Run starts serving.
func New(o Options) (*Server, error) {
	if o.Logger == nil || o.Gatherer == nil || o.Listen == "" {
		return nil, errors.New("ops: Logger, Gatherer and Listen are required")
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("ops: listen on %s: %w", o.Listen, err)
	}
	s := &Server{listener: listener, checks: o.Checks}
	errorLog := slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn)

	router := mux.NewRouter()
	router.Path("/healthz").HandlerFunc(healthy)
	router.Path("/readyz").HandlerFunc(s.ready)
	router.Path("/metrics").Handler(promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog:            errorLog,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeWait,
		EnableOpenMetrics:   true,
	}))
	if o.OpenAPI != nil {
		router.Path("/openapi.yaml").Handler(document(o.OpenAPI))
	}
	if o.AsyncAPI != nil {
		router.Path("/asyncapi.yaml").Handler(document(o.AsyncAPI))
	}
	router.Path("/debug/pprof/cmdline").HandlerFunc(pprof.Cmdline)
	router.Path("/debug/pprof/profile").HandlerFunc(pprof.Profile)
	router.Path("/debug/pprof/symbol").HandlerFunc(pprof.Symbol)
	router.Path("/debug/pprof/trace").HandlerFunc(pprof.Trace)
	router.PathPrefix("/debug/pprof/").HandlerFunc(pprof.Index)

	s.server = &http.Server{
		Handler:           router,
		ReadHeaderTimeout: headerWait,
		MaxHeaderBytes:    maxHeaderSize,
		ErrorLog:          errorLog,
	}
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx ends, then lets the requests under way finish, or cuts
// them off after a moment.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWait)
		defer cancel()
		if s.server.Shutdown(drain) != nil {
			_ = s.server.Close() // a profile may still be running; nobody waits for it
		}
	})
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("ops: serve: %w", err)
	}
	<-stopped // Serve returns as soon as the listener is closed
	return nil
}

// Readiness is the body of /readyz.
type Readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // by name: "ok", or what is not in order
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkWait)
	defer cancel()
	state := Readiness{Ready: true, Checks: make(map[string]string, len(s.checks))}
	for _, check := range s.checks {
		state.Checks[check.Name] = "ok"
		if err := check.Run(ctx); err != nil {
			state.Ready, state.Checks[check.Name] = false, err.Error()
		}
	}
	status := http.StatusOK
	if !state.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, state)
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Healthy bool `json:"healthy"`
	}{true})
}

// document answers GET and HEAD with a document in YAML.
func document(yaml []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET is allowed here", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/yaml")
		w.Header().Set("Content-Length", strconv.Itoa(len(yaml)))
		_, _ = w.Write(yaml) // the client may have left
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body, json.Deterministic(true)) // the client may have left
	_, _ = io.WriteString(w, "\n")                           // people read it in terminals
}
