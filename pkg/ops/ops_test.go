package ops_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/goleak"

	"fanfare/pkg/eventually"
	"fanfare/pkg/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a running operations listener.
type rig struct {
	tb     testing.TB
	addr   string
	client *http.Client
	cancel context.CancelFunc
	done   chan error // what Run returned
}

// start starts a listener; missing options are made up.
func start(tb testing.TB, o ops.Options) *rig {
	tb.Helper()
	if o.Logger == nil {
		o.Logger = ops.NewLogger(tb.Output(), 0, "test")
	}
	if o.Gatherer == nil {
		o.Gatherer = prometheus.NewRegistry()
	}
	o.Listen = "127.0.0.1:0"
	s, err := ops.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	r := &rig{tb: tb, addr: s.Addr().String(), client: &http.Client{Transport: &http.Transport{}}, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx); close(r.done) }()
	tb.Cleanup(func() {
		r.client.CloseIdleConnections()
		cancel()
		if err := <-r.done; err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	return r
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (r *rig) fetch(path string) (answer, error) {
	request, err := http.NewRequestWithContext(r.tb.Context(), http.MethodGet, "http://"+r.addr+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	return r.send(request)
}

func (r *rig) send(request *http.Request) (answer, error) {
	response, err := r.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

func (r *rig) get(path string) answer {
	r.tb.Helper()
	a, err := r.fetch(path)
	if err != nil {
		r.tb.Fatalf("GET %s: %v", path, err)
	}
	return a
}

// readiness reads the body of /readyz.
func (a answer) readiness(tb testing.TB) ops.Readiness {
	tb.Helper()
	var state ops.Readiness
	if err := json.Unmarshal([]byte(a.body), &state, json.RejectUnknownMembers(true)); err != nil {
		tb.Fatalf("%s: %v", a.body, err)
	}
	return state
}

func inOrder(context.Context) error { return nil }

func TestEveryRouteAnswers(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	promauto.With(registry).NewCounter(prometheus.CounterOpts{Name: "fanfare_test_total", Help: "Of this test."}).Add(3)
	r := start(t, ops.Options{Gatherer: registry})
	for _, row := range []struct {
		path        string
		status      int
		contentType string
		says        string
	}{
		{"/healthz", 200, "application/json", `{"healthy":true}`},
		{"/readyz", 200, "application/json", `{"ready":true,"checks":{}}`},
		{"/metrics", 200, "text/plain", "fanfare_test_total 3\n"},
		{"/debug/pprof/", 200, "text/html", "goroutine"},
		{"/debug/pprof/goroutine?debug=1", 200, "text/plain", "goroutine profile: total"},
		{"/debug/pprof/heap?debug=1", 200, "text/plain", "heap profile:"},
		{"/debug/pprof/cmdline", 200, "text/plain", "ops.test"},
		{"/debug/pprof/symbol", 200, "text/plain", "num_symbols"},
		{"/debug/pprof/trace?seconds=0.01", 200, "application/octet-stream", "go 1."},
		{"/debug/pprof/nonsense", 404, "", ""},
		{"/", 404, "", ""},
		{"/metrics/", 404, "", ""},
		{"/healthz/x", 404, "", ""},
		{"/callbacks/music", 404, "", ""},
		{"/debug/vars", 404, "", ""},
	} {
		a := r.get(row.path)
		if a.status != row.status || !strings.HasPrefix(a.header.Get("Content-Type"), row.contentType) || !strings.Contains(a.body, row.says) {
			t.Errorf("%s: %d %s %.200q, want %d %s %q", row.path, a.status, a.header.Get("Content-Type"), a.body, row.status, row.contentType, row.says)
		}
	}
}

func TestReadinessShowsEachCheckByName(t *testing.T) {
	t.Parallel()
	broken := func(context.Context) error { return errors.New("not connected") }
	for _, row := range []struct {
		name   string
		checks []ops.Check
		status int
		want   string
	}{
		{"none", nil, 200, `{"ready":true,"checks":{}}`},
		{"all in order", []ops.Check{{"broker", inOrder}, {"archive", inOrder}}, 200, `{"ready":true,"checks":{"archive":"ok","broker":"ok"}}`},
		{"the first is not", []ops.Check{{"broker", broken}, {"archive", inOrder}}, 503, `{"ready":false,"checks":{"archive":"ok","broker":"not connected"}}`},
		{"the last is not", []ops.Check{{"broker", inOrder}, {"archive", broken}}, 503, `{"ready":false,"checks":{"archive":"not connected","broker":"ok"}}`},
		{"none is", []ops.Check{{"broker", broken}, {"archive", broken}}, 503, `{"ready":false,"checks":{"archive":"not connected","broker":"not connected"}}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, ops.Options{Checks: row.checks}).get("/readyz")
			if a.status != row.status || a.body != row.want+"\n" {
				t.Errorf("%d %s, want %d %s", a.status, a.body, row.status, row.want)
			}
			a.readiness(t)
		})
	}
}

func TestChecksAreAskedAnewAtEveryRequest(t *testing.T) {
	t.Parallel()
	broken := make(chan error, 1)
	r := start(t, ops.Options{Checks: []ops.Check{{Name: "broker", Run: func(context.Context) error { return <-broken }}}})
	for _, want := range []error{nil, errors.New("gone"), nil} {
		broken <- want
		if state := r.get("/readyz").readiness(t); state.Ready != (want == nil) {
			t.Errorf("%+v while the check says %v", state, want)
		}
	}
	if a := r.get("/healthz"); a.status != http.StatusOK {
		t.Error("a process that is not ready lives all the same")
	}
}

// slowCollector collects nothing, and takes its time.
type slowCollector func()

func (slowCollector) Describe(chan<- *prometheus.Desc)   {}
func (c slowCollector) Collect(chan<- prometheus.Metric) { c() }

// slow returns what calls wait at every scrape.
func slow(wait func()) prometheus.Gatherer {
	registry := prometheus.NewRegistry()
	registry.MustRegister(slowCollector(wait))
	return registry
}

func TestScrapesAtTheSameTimeAreBounded(t *testing.T) {
	t.Parallel()
	const allowed = 4
	entered, leave := make(chan struct{}, allowed+1), make(chan struct{})
	r := start(t, ops.Options{Gatherer: slow(func() {
		entered <- struct{}{}
		<-leave
	})})
	answers := make(chan int, allowed)
	for range allowed {
		go func() {
			a, err := r.fetch("/metrics")
			if err != nil {
				t.Errorf("scrape: %v", err)
			}
			answers <- a.status
		}()
	}
	for range allowed {
		<-entered
	}
	if a := r.get("/metrics"); a.status != http.StatusServiceUnavailable {
		t.Errorf("one more is answered %d", a.status)
	}
	if a := r.get("/healthz"); a.status != http.StatusOK {
		t.Errorf("/healthz is answered %d meanwhile", a.status)
	}
	close(leave)
	for range allowed {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
	}
	if a := r.get("/metrics"); a.status != http.StatusOK {
		t.Errorf("answered %d afterwards", a.status)
	}
}

func TestRunEndsWithItsContextAndFreesThePort(t *testing.T) {
	t.Parallel()
	r := start(t, ops.Options{})
	r.get("/healthz")
	r.cancel()
	if err := <-r.done; err != nil {
		t.Errorf("run: %v", err)
	}
	listener, err := net.Listen("tcp", r.addr)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = listener.Close()
}

func TestRunWaitsForRequestsUnderWay(t *testing.T) {
	t.Parallel()
	asked, finish := make(chan struct{}), make(chan struct{})
	r := start(t, ops.Options{Checks: []ops.Check{{Name: "slow", Run: func(context.Context) error {
		close(asked)
		<-finish
		return nil
	}}}})
	answers := make(chan answer, 1)
	go func() {
		a, err := r.fetch("/readyz")
		if err != nil {
			t.Errorf("the request was cut off: %v", err)
		}
		answers <- a
	}()
	<-asked
	r.cancel()
	eventually.Await(t, "the port is closed", func() bool {
		conn, err := net.Dial("tcp", r.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case <-r.done:
		t.Error("run returned while a request was under way")
	default:
	}
	close(finish)
	if a := <-answers; a.status != http.StatusOK {
		t.Errorf("answered %d", a.status)
	}
}

func TestWhatIsRequiredIsAskedFor(t *testing.T) {
	t.Parallel()
	complete := ops.Options{Logger: ops.NewLogger(io.Discard, 0, "test"), Gatherer: prometheus.NewRegistry(), Listen: "127.0.0.1:0"}
	for name, forget := range map[string]func(*ops.Options){
		"Logger":   func(o *ops.Options) { o.Logger = nil },
		"Gatherer": func(o *ops.Options) { o.Gatherer = nil },
		"Listen":   func(o *ops.Options) { o.Listen = "" },
	} {
		o := complete
		forget(&o)
		if _, err := ops.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	r := start(t, ops.Options{})
	_, err := ops.New(ops.Options{Logger: ops.NewLogger(io.Discard, 0, "test"), Gatherer: prometheus.NewRegistry(), Listen: r.addr})
	if err == nil || !strings.Contains(err.Error(), r.addr) {
		t.Errorf("the error is %v", err)
	}
}
