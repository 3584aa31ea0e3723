package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a running gateway in front of a real server.
type rig struct {
	tb       testing.TB
	url      string
	broker   *broker.Broker
	registry *prometheus.Registry
	client   *http.Client
	stop     func() // ends the gateway and waits for it
}

// options returns what a gateway needs to start on loopback, but for its Store,
// changed as asked.
func options(tb testing.TB, change ...func(*gateway.Options)) gateway.Options {
	tb.Helper()
	contracts, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	o := gateway.Options{
		Logger:     natstest.Logger(tb),
		Registerer: prometheus.NewPedanticRegistry(),
		Contracts:  contracts,
		Store:      (*broker.Broker)(nil),
		Listen:     "127.0.0.1:0",
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

func start(tb testing.TB, b *broker.Broker, change ...func(*gateway.Options)) *rig {
	tb.Helper()
	return startWith(tb, b, b, change...)
}

// startWith starts a gateway that stores through store, which is b or wraps it.
func startWith(tb testing.TB, b *broker.Broker, store interface {
	Publish(context.Context, callback.Callback) (broker.Published, error)
	Quarantine(context.Context, broker.Quarantined) error
}, change ...func(*gateway.Options),
) *rig {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	g, err := gateway.New(options(tb, append(change, func(o *gateway.Options) {
		o.Registerer, o.Store = registry, store
	})...))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	r := &rig{
		tb:       tb,
		url:      "http://" + g.Addr().String(),
		broker:   b,
		registry: registry,
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirected") },
		},
	}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		r.client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("gateway: %v", err)
		}
	}
	tb.Cleanup(r.stop)
	return r
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (r *rig) do(request *http.Request) answer {
	r.tb.Helper()
	response, err := r.client.Do(request)
	if err != nil {
		r.tb.Fatalf("%s %s: %v", request.Method, request.URL, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.tb.Fatalf("read answer: %v", err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// post sends body as the provider does.
func (r *rig) post(path string, body []byte) answer {
	r.tb.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url+path, bytes.NewReader(body))
	if err != nil {
		r.tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return r.do(request)
}

// wellFormed checks what every answer of ours has in common.
func (a answer) wellFormed(tb testing.TB) {
	tb.Helper()
	var body struct {
		Code int    `json:"code"`
		Msg  string `json:"msg"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		tb.Fatalf("answer %q is not JSON: %v", a.body, err)
	}
	if body.Code != a.status || body.Msg == "" || len(a.body) > 2048 {
		tb.Errorf("status %d with body %q: want the same code, a message, at most 2 KiB", a.status, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		tb.Errorf("Content-Type %q", got)
	}
	for _, leak := range []string{"nats", "jetstream", "json:", "jsontext", "goroutine", ".go:", "context deadline"} {
		if strings.Contains(strings.ToLower(a.body), leak) {
			tb.Errorf("answer %q speaks of its inside (%q)", a.body, leak)
		}
	}
}

// stored returns what the stream holds of filter, oldest first.
func (r *rig) stored(filter string, want int) []broker.Message {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var found []broker.Message
	if want == 0 {
		return nil
	}
	err := r.broker.Follow(ctx, filter, time.Unix(0, 1), func(m broker.Message) error {
		if found = append(found, m); len(found) == want {
			cancel()
		}
		return nil
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	if len(found) != want {
		r.tb.Fatalf("%d messages on %s, want %d", len(found), filter, want)
	}
	return found
}

// count returns how many callbacks of a type are stored.
func (r *rig) count(t callback.Type) int {
	r.tb.Helper()
	activity, err := r.broker.Activity(r.tb.Context(), nil) // nothing but callbacks is ever written here
	if err != nil {
		r.tb.Fatal(err)
	}
	count := 0
	for _, m := range r.stored("callbacks.>", int(activity.Moves)) {
		if strings.HasPrefix(m.Subject, "callbacks."+string(t)+".") {
			count++
		}
	}
	return count
}
