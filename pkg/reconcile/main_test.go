package reconcile_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/provider"
	"fanfare/pkg/reconcile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// never is later than any test looks.
	never = time.Hour
	// moment is how long a test waits for what must not come.
	moment = 300 * time.Millisecond
)

func contracts(tb testing.TB) callback.Contracts {
	tb.Helper()
	all, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// details is the provider's details endpoint for WAV files.
type details struct {
	url string

	mu      sync.Mutex
	answers map[string]string // by task ID; a body, or an HTTP status
	asked   map[string][]time.Time
	asking  map[string]int
	twice   []string // tasks that were asked about while they were
	hold    chan struct{}
}

const (
	pending = `{"code":200,"msg":"success","data":{"taskId":%q,"successFlag":"PENDING","response":null}}`
	success = `{"code":200,"msg":"success","data":{"taskId":%q,"successFlag":"SUCCESS","response":{"audioWavUrl":"https://media.example/a.wav"}}}`
	failed  = `{"code":200,"msg":"success","data":{"taskId":%q,"successFlag":"GENERATE_WAV_FAILED","errorCode":501,"errorMessage":"no"}}`
)

func newDetails(tb testing.TB) *details {
	tb.Helper()
	d := &details{answers: make(map[string]string), asked: make(map[string][]time.Time), asking: make(map[string]int)}
	server := httptest.NewServer(d)
	tb.Cleanup(server.Close)
	d.url = server.URL
	return d
}

func (d *details) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("taskId")
	d.mu.Lock()
	d.asked[id] = append(d.asked[id], time.Now())
	if d.asking[id]++; d.asking[id] > 1 {
		d.twice = append(d.twice, id)
	}
	answer, hold := d.answers[id], d.hold
	d.mu.Unlock()
	if hold != nil {
		<-hold
	}
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asking[id]--
	}()
	switch answer {
	case "":
		_, _ = fmt.Fprintf(w, pending, id)
	case "429", "500":
		w.WriteHeader(map[string]int{"429": http.StatusTooManyRequests, "500": http.StatusInternalServerError}[answer])
	default:
		_, _ = fmt.Fprintf(w, answer, id)
	}
}

func (d *details) answer(id, answer string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[id] = answer
}

func (d *details) polls(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked[id])
}

// start starts a reconciler that hurries, and returns what ends it.
func start(tb testing.TB, b *broker.Broker, d *details, change ...func(*reconcile.Options)) (registry *prometheus.Registry, stop func()) {
	tb.Helper()
	client, err := provider.New(provider.Options{BaseURL: d.url, Key: func() string { return "k" }, EgressAllow: []string{"127.0.0.1"}})
	if err != nil {
		tb.Fatal(err)
	}
	registry = prometheus.NewRegistry()
	o := reconcile.Options{
		Logger: natstest.Logger(tb), Registerer: registry, Broker: b, Contracts: contracts(tb), Provider: client,
		After: time.Millisecond, Every: 50 * time.Millisecond, GiveUp: time.Hour, Rate: 1000,
	}
	for _, c := range change {
		c(&o)
	}
	r, err := reconcile.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("it ended with %v", err)
		}
	})
	tb.Cleanup(stop)
	return registry, stop
}

func provisioned(tb testing.TB) (*broker.Broker, jetstream.JetStream) {
	tb.Helper()
	server := natstest.Start(tb, tb.TempDir(), "")
	return natstest.Provisioned(tb, server), natstest.JetStream(tb, server)
}

func announce(tb testing.TB, b *broker.Broker, a ledger.Announcement) {
	tb.Helper()
	if a.SubmittedAt.IsZero() {
		a.SubmittedAt = time.Now()
	}
	if _, err := b.Announce(tb.Context(), "wav", a); err != nil {
		tb.Fatal(err)
	}
}

// push stores a callback as the gateway would.
func push(tb testing.TB, b *broker.Broker, t callback.Type, body string) broker.Published {
	tb.Helper()
	cb, err := contracts(tb)[t].Decode([]byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	cb.Received = time.Now()
	published, err := b.Publish(tb.Context(), cb)
	if err != nil {
		tb.Fatal(err)
	}
	return published
}

func pushed(id string) string {
	return fmt.Sprintf(`{"code":200,"msg":"pushed","data":{"task_id":%q,"audioWavUrl":"https://media.example/other.wav"}}`, id)
}

func state(tb testing.TB, b *broker.Broker, t callback.Type, id callback.TaskID) ledger.Entry {
	tb.Helper()
	e, _, err := b.Ledger().Get(tb.Context(), t, id)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func becomes(tb testing.TB, b *broker.Broker, id callback.TaskID, want ledger.State) {
	tb.Helper()
	eventually.Await(tb, string(id)+" is "+string(want), func() bool { return state(tb, b, "wav", id).State == want })
}

// stored returns the callbacks of a task, oldest first.
func stored(tb testing.TB, b *broker.Broker, id string) (all []broker.Message) {
	tb.Helper()
	if err := b.Read(tb.Context(), "callbacks", func(m broker.Message) error {
		if m.Header["ce-subject"] == id {
			all = append(all, m)
		}
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return all
}
