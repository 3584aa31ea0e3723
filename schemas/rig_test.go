package schemas_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"fanfare/consumers"
	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/media"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/provider"
	"fanfare/pkg/reconcile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience is how long a test waits for what must come; it says nothing
	// about how fast it should.
	patience = 2 * time.Minute
	// pollAfter and giveUp hurry the reconciler and the consumers.
	pollAfter = time.Millisecond
	giveUp    = 200 * time.Millisecond
)

// rig is all of fanfare around a server of its own, with the world outside played:
// one HTTP server is the provider's API and the only host whose media may be fetched.
type rig struct {
	tb        testing.TB
	contracts callback.Contracts
	js        jetstream.JetStream
	broker    *broker.Broker
	tracer    trace.Tracer
	outside   *httptest.Server
	gateway   string

	running context.Context //nolint:containedctx // of all parts, until the end
	end     context.CancelFunc
	parts   sync.WaitGroup
}

// startRig starts the gateway, every consumer and the reconciler, all traced.
func startRig(tb testing.TB, outside http.Handler) *rig {
	tb.Helper()
	contracts, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	server := natstest.Start(tb, tb.TempDir(), "")
	natstest.Provisioned(tb, server)
	traces := sdktrace.NewTracerProvider()
	tb.Cleanup(func() { _ = traces.Shutdown(context.WithoutCancel(tb.Context())) })
	r := &rig{tb: tb, contracts: contracts, js: natstest.JetStream(tb, server), tracer: traces.Tracer("fanfare"), outside: httptest.NewServer(outside)}
	tb.Cleanup(r.outside.Close)
	natstest.Erasable(tb, r.js, broker.StreamCallbacks)
	r.broker, err = broker.Connect(broker.Options{Logger: natstest.Logger(tb), InProcess: server, Tracer: r.tracer})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.broker.Close)
	r.running, r.end = context.WithCancel(tb.Context())
	tb.Cleanup(r.stop)
	r.startGateway()
	for _, spec := range consumers.All() {
		r.startConsumer(spec)
	}
	r.startReconciler()
	return r
}

func (r *rig) startGateway() {
	r.tb.Helper()
	g, err := gateway.New(gateway.Options{
		Logger: natstest.Logger(r.tb), Registerer: prometheus.NewRegistry(), Contracts: r.contracts,
		Store: r.broker, Tracer: r.tracer, Listen: "127.0.0.1:0",
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	r.gateway = "http://" + g.Addr().String()
	r.run("gateway", g.Run)
}

func (r *rig) startConsumer(spec consume.Spec) {
	r.tb.Helper()
	reg := prometheus.NewRegistry()
	archive, err := media.OpenArchive(r.tb.Context(), "file://"+r.tb.TempDir())
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = archive.Close() })
	archiver, err := consume.NewArchiver(reg, spec, r.broker.Results(), archive, media.FetcherOptions{
		EgressAllow: []string{r.outside.Listener.Addr().String()}, Hosts: []string{"127.0.0.1"}, // the examples' hosts are not asked
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = archiver.Close() })
	runner, err := consume.New(consume.Options{
		Logger: natstest.Logger(r.tb), Registerer: reg, Broker: r.broker, Contract: r.contracts[spec.Type], GiveUp: giveUp,
		Handler: archiver.Handle, Probe: archiver.Probe, Abandon: archiver.Abandon,
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	r.run("consumer "+string(spec.Type), runner.Run)
}

func (r *rig) startReconciler() {
	r.tb.Helper()
	client, err := provider.New(provider.Options{BaseURL: r.outside.URL, Key: func() string { return "k" }, EgressAllow: []string{"127.0.0.1"}})
	if err != nil {
		r.tb.Fatal(err)
	}
	reconciler, err := reconcile.New(reconcile.Options{
		Logger: natstest.Logger(r.tb), Registerer: prometheus.NewRegistry(), Broker: r.broker, Contracts: r.contracts, Provider: client,
		After: pollAfter, Every: 50 * time.Millisecond, Rate: 1000,
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	r.run("reconciler", reconciler.Run)
}

// run runs a part until stop.
func (r *rig) run(what string, part func(context.Context) error) {
	r.parts.Go(func() {
		if err := part(r.running); err != nil {
			r.tb.Errorf("%s: %v", what, err)
		}
	})
}

// stop ends all parts, so that nothing changes any more.
func (r *rig) stop() {
	r.end()
	r.parts.Wait()
}

// post sends a body to the gateway as the provider does, with all headers that are
// kept of one that cannot be used, and expects an answer.
func (r *rig) post(t callback.Type, body string, want int) {
	r.tb.Helper()
	request, err := http.NewRequestWithContext(r.tb.Context(), http.MethodPost, r.gateway+"/callbacks/"+string(t), bytes.NewReader([]byte(body)))
	if err != nil {
		r.tb.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type":        "application/json",
		"User-Agent":          "provider/1.0",
		"X-Webhook-Timestamp": "1782909000",
		"X-Webhook-Signature": "0J/RgNC40LLQtdGC",
		"traceparent":         "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"tracestate":          "vendor=opaque",
	} {
		request.Header.Set(name, value)
	}
	request.Close = true // so that the gateway's end waits for nobody
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		r.tb.Fatal(err)
	}
	answer, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != want {
		r.tb.Fatalf("%s %s: answered %d %s, want %d", t, body, response.StatusCode, answer, want)
	}
}

// traced is a context within a trace.
func (r *rig) traced() context.Context {
	state, err := trace.ParseTraceState("vendor=opaque")
	if err != nil {
		r.tb.Fatal(err)
	}
	ctx, span := r.tracer.Start(r.tb.Context(), "test")
	span.End()
	return trace.ContextWithSpanContext(ctx, span.SpanContext().WithTraceState(state))
}
