package subscribe_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
	"fanfare/pkg/subscribe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience is how long a test waits for what must come; it says nothing
	// about how fast it should.
	patience = 2 * time.Minute
	// moment is how long a test waits for what must not come.
	moment = 300 * time.Millisecond
)

// provisioned starts a server of its own, with a broker and a client that knows
// nothing of fanfare.
func provisioned(tb testing.TB) (*broker.Broker, jetstream.JetStream) {
	tb.Helper()
	server := natstest.Start(tb, tb.TempDir(), "")
	return natstest.Provisioned(tb, server), natstest.JetStream(tb, server)
}

func contract(tb testing.TB, t callback.Type) *callback.Contract {
	tb.Helper()
	contracts, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	return contracts[t]
}

// publish stores a body as the gateway would.
func publish(tb testing.TB, b *broker.Broker, t callback.Type, body string) callback.Callback {
	tb.Helper()
	cb, err := contract(tb, t).Decode([]byte(body))
	if err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	cb.Received = time.Now().UTC()
	if _, err := b.Publish(tb.Context(), cb); err != nil {
		tb.Fatal(err)
	}
	return cb
}

// failed is the body of a task that failed, of any type.
func failed(id any) string {
	return fmt.Sprintf(`{"code":500,"msg":"no","data":{"task_id":"task-%v"}}`, id)
}

// state makes the n-th state of a task's result: each replaces the one before.
func state(tb testing.TB, b *broker.Broker, t callback.Type, id callback.TaskID, n int) {
	tb.Helper()
	cb := callback.Callback{Type: t, TaskID: id, Stage: callback.Error, Code: int32(n), Received: time.Now()}
	if _, err := b.Results().Merge(tb.Context(), result.New(cb, nil)); err != nil {
		tb.Fatal(err)
	}
}

// stateOf is the number that state gave to a document.
func stateOf(doc result.Document) int {
	if n := len(doc.Conflicts); n > 0 {
		return int(doc.Conflicts[n-1].Code)
	}
	return int(doc.Code)
}

// service is a subscriber in the background.
type service struct {
	stop func() // ends it, and waits until it has
	done chan error
}

func start(tb testing.TB, o subscribe.Options, call func(context.Context, *subscribe.Subscriber) error) *service {
	tb.Helper()
	if o.Logger == nil {
		o.Logger = natstest.Logger(tb)
	}
	if o.Name == "" {
		o.Name = "billing"
	}
	s, err := subscribe.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		done <- call(ctx, s)
		close(ended)
	}()
	stop := func() {
		cancel()
		<-ended
	}
	tb.Cleanup(stop)
	return &service{stop: stop, done: done}
}

type (
	onCallback = func(context.Context, callback.Callback) error
	onResult   = func(context.Context, result.Document) error
)

// callbacks starts a service that handles callbacks.
func callbacks(tb testing.TB, o subscribe.Options, t callback.Type, handle onCallback) *service {
	tb.Helper()
	return start(tb, o, func(ctx context.Context, s *subscribe.Subscriber) error { return s.Callbacks(ctx, t, handle) })
}

// results starts a service that handles results.
func results(tb testing.TB, o subscribe.Options, t callback.Type, handle onResult) *service {
	tb.Helper()
	return start(tb, o, func(ctx context.Context, s *subscribe.Subscriber) error { return s.Results(ctx, t, handle) })
}

// ended waits until the service has ended by itself and returns its error.
func (s *service) ended(tb testing.TB) error {
	tb.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(patience):
		tb.Fatal("never: the service ends")
		return nil
	}
}

// seen collects what handlers saw, in order.
type seen[T comparable] struct {
	mu  sync.Mutex
	all []T
}

func (s *seen[T]) add(what T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, what)
}

func (s *seen[T]) get() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// count is how often it was seen.
func (s *seen[T]) count(what T) int {
	n := 0
	for _, a := range s.get() {
		if a == what {
			n++
		}
	}
	return n
}

// different is how many different ones were seen.
func (s *seen[T]) different() int {
	set := make(map[T]struct{})
	for _, a := range s.get() {
		set[a] = struct{}{}
	}
	return len(set)
}

// onceEach checks that want were seen, none of them twice.
func (s *seen[T]) onceEach(tb testing.TB, want int) {
	tb.Helper()
	if all, different := len(s.get()), s.different(); different != want || all != want {
		tb.Errorf("%d were seen, %d different ones, want %d", all, different, want)
	}
}

// tasks is a handler that notes the tasks of callbacks.
func tasks(s *seen[callback.TaskID]) onCallback {
	return func(_ context.Context, cb callback.Callback) error {
		s.add(cb.TaskID)
		return nil
	}
}

func info(tb testing.TB, js jetstream.JetStream, stream, durable string) *jetstream.ConsumerInfo {
	tb.Helper()
	consumer, err := js.Consumer(tb.Context(), stream, durable)
	if err != nil {
		tb.Fatalf("durable %s on stream %s: %v", durable, stream, err)
	}
	return consumer.CachedInfo()
}

// exists reports whether a durable does.
func exists(tb testing.TB, js jetstream.JetStream, stream, durable string) bool {
	tb.Helper()
	_, err := js.Consumer(tb.Context(), stream, durable)
	return err == nil
}

// waiting waits until a durable has so many requests for messages.
func waiting(tb testing.TB, js jetstream.JetStream, stream, durable string, requests int) {
	tb.Helper()
	eventually.Await(tb, durable+" is asked by all", func() bool {
		return exists(tb, js, stream, durable) && info(tb, js, stream, durable).NumWaiting == requests
	})
}

// settled waits until a durable has nothing left to do.
func settled(tb testing.TB, js jetstream.JetStream, stream, durable string) {
	tb.Helper()
	eventually.Await(tb, durable+" has settled everything", func() bool {
		i := info(tb, js, stream, durable)
		return i.NumPending == 0 && i.NumAckPending == 0
	})
}

// lines collects what a logger writes.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// logger logs to a collection.
func logger() (*slog.Logger, *lines) {
	var l lines
	return slog.New(slog.NewJSONHandler(&l, &slog.HandlerOptions{Level: slog.LevelDebug})), &l
}
