package cli_test

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"fanfare/pkg/eventually"
)

// span is a span as a collector gets it.
type span struct {
	service string
	*trace.Span
}

// attribute returns the text of an attribute, "" if there is none.
func (s span) attribute(key string) string {
	for _, attribute := range s.GetAttributes() {
		if attribute.GetKey() == key {
			return attribute.GetValue().GetStringValue()
		}
	}
	return ""
}

// spans is an OTLP collector.
type spans struct {
	mu  sync.Mutex
	all []span
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(raw, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		service := ""
		for _, attribute := range resource.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				service = attribute.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, one := range scope.GetSpans() {
				s.all = append(s.all, span{service, one})
			}
		}
	}
}

// find returns the span of a trace by its name.
func (s *spans) find(traceID, name string) (span, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if hex.EncodeToString(one.GetTraceId()) == traceID && one.GetName() == name {
			return one, true
		}
	}
	return span{}, false
}

// The trace that a request carries goes on through the message, in other processes,
// to the download.
func TestOneTraceLeadsFromTheRequestToTheDownload(t *testing.T) {
	t.Parallel()
	const traceID, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	collected := new(spans)
	collecting := httptest.NewServer(collected)
	t.Cleanup(collecting.Close)
	s := newStandalone(t)
	host, err := net.Listen("tcp", s.media)
	if err != nil {
		t.Fatal(err)
	}
	serving := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") != "" {
			t.Error("a media host is told of the trace")
		}
		_, _ = io.WriteString(w, "RIFF\x24\x00\x00\x00WAVEfmt ")
	})}
	go func() { _ = serving.Serve(host) }()
	t.Cleanup(func() { _ = serving.Close() })
	newNATSServer(t, s.nats, s.dir, nil).start(t)
	url, ops := "nats://"+s.nats, freeAddr(t)
	if status := fanfare(t, "provision", "--nats-url", url).wait(); status != 0 {
		t.Fatalf("provision ended with status %d", status)
	}
	traced := func(args ...string) {
		launch(t, "env", append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collecting.URL, "OTEL_BSP_SCHEDULE_DELAY=50", built.fanfare()}, args...)...)
	}
	traced("gateway", "--nats-url", url, "--listen", s.listen, "--ops-listen", s.ops)
	traced("consumer", "wav", "--nats-url", url, "--ops-listen", ops, "--archive-url", "file://"+t.TempDir(), "--egress-allow", s.media)
	awaitReady(t, s.ops)
	awaitReady(t, ops)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.listen+"/callbacks/wav",
		strings.NewReader(fmt.Sprintf(`{"code":200,"msg":"","data":{"task_id":"t","audioWavUrl":"http://%s/a.wav?secret"}}`, s.media)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Traceparent", "00-"+traceID+"-"+parent+"-01")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()

	above := parent
	for _, want := range []struct{ service, name string }{
		{"fanfare-gateway", "POST /callbacks/wav"},
		{"fanfare-gateway", "publish callbacks.wav.complete"},
		{"fanfare-consumer", "process callbacks.wav.complete"},
		{"fanfare-consumer", "download"},
	} {
		var got span
		eventually.Await(t, want.name+" is collected", func() (ok bool) {
			got, ok = collected.find(traceID, want.name)
			return ok
		})
		if got.service != want.service || hex.EncodeToString(got.GetParentSpanId()) != above {
			t.Errorf("%s: of %s, under %x, want of %s, under %s", want.name, got.service, got.GetParentSpanId(), want.service, above)
		}
		if strings.Contains(got.String(), "secret") {
			t.Errorf("%s tells a URL's query: %s", want.name, got.String())
		}
		if verdict := got.attribute("fanfare.verdict"); strings.HasPrefix(want.name, "process ") != (verdict == "ack") {
			t.Errorf("%s: verdict %q", want.name, verdict)
		}
		above = hex.EncodeToString(got.GetSpanId())
	}
	for _, listener := range []struct{ ops, metric string }{
		{s.ops, "fanfare_callback_duration_seconds"}, {s.ops, "fanfare_publish_duration_seconds"}, {ops, "fanfare_handle_duration_seconds"},
	} {
		if metrics := openMetrics(t, listener.ops); !hasExemplar(metrics, listener.metric, traceID) {
			t.Errorf("%s has no example of the trace", listener.metric)
		}
	}
}

// hasExemplar reports whether a histogram has an example of a trace.
func hasExemplar(metrics, name, traceID string) bool {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, name+"_bucket") && strings.Contains(line, `# {trace_id="`+traceID+`"}`) {
			return true
		}
	}
	return false
}

func openMetrics(tb testing.TB, ops string) string {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://"+ops+"/metrics", http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func TestWhatTracingCannotDoIsRefused(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"OTEL_TRACES_EXPORTER=zipkin":                                               "want otlp or none",
		"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                "only http/protobuf",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 OTEL_RESOURCE_ATTRIBUTES=x": "OTEL_RESOURCE_ATTRIBUTES",
	} {
		s := newStandalone(t)
		p := launch(t, "env", append(strings.Fields(setting), built.fanfare(), "standalone", "--data-dir", s.dir, "--listen", s.listen,
			"--ops-listen", s.ops, "--nats-listen", s.nats)...)
		if status := p.wait(); status != 1 || !strings.Contains(p.err.String(), want) {
			t.Errorf("%s: status %d: %s", setting, status, p.err.String())
		}
	}
}
