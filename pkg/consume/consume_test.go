package consume_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/natsd/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come; it says nothing about
// how fast it should.
const patience = 2 * time.Minute

// contracts are compiled once for all tests.
var contracts = sync.OnceValues(callback.LoadContracts) //nolint:gochecknoglobals // compiling takes longer than most tests

func contract(tb testing.TB, t callback.Type) *callback.Contract {
	tb.Helper()
	all, err := contracts()
	if err != nil {
		tb.Fatal(err)
	}
	return all[t]
}

// publish stores a body as the gateway would.
func publish(tb testing.TB, b *broker.Broker, t callback.Type, body string, received time.Time) callback.Callback {
	tb.Helper()
	cb, err := contract(tb, t).Decode([]byte(body))
	if err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	cb.Received = received
	if _, err := b.Publish(tb.Context(), cb); err != nil {
		tb.Fatal(err)
	}
	return cb
}

func failedWAV(id int) string {
	return fmt.Sprintf(`{"code":500,"msg":"","data":{"task_id":"task-%d"}}`, id)
}

// run starts a runner and returns what stops it and waits for its end.
func run(tb testing.TB, o consume.Options) (r *consume.Runner, stop func()) {
	tb.Helper()
	if o.Logger == nil {
		o.Logger = natstest.Logger(tb)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	r, err := consume.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	tb.Cleanup(stop)
	return r, stop
}

// tally counts how often each task was handled.
type tally struct {
	mu    sync.Mutex
	times map[callback.TaskID]int
}

func newTally() *tally { return &tally{times: make(map[callback.TaskID]int)} }

func (t *tally) add(id callback.TaskID) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times[id]++
	return t.times[id]
}

func (t *tally) tasks() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.times)
}

// onceEach checks that want tasks were handled, none of them twice.
func (t *tally) onceEach(tb testing.TB, want int) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.times) != want {
		tb.Errorf("%d tasks handled, want %d", len(t.times), want)
	}
	for id, n := range t.times {
		if n != 1 {
			tb.Errorf("%s was handled %d times", id, n)
		}
	}
}

func unsettled(tb testing.TB, b *broker.Broker, t callback.Type) uint64 {
	tb.Helper()
	backlog, err := b.Backlog(tb.Context(), t)
	if err != nil {
		tb.Fatal(err)
	}
	return backlog.Unsettled()
}

// deadLetters waits for want dead letters and returns them.
func deadLetters(tb testing.TB, b *broker.Broker, want int) []broker.Message {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	var found []broker.Message
	err := b.Follow(ctx, "dead-letters.>", time.Unix(0, 1), func(m broker.Message) error {
		if found = append(found, m); len(found) == want {
			cancel()
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if len(found) != want {
		tb.Fatalf("%d dead letters, want %d", len(found), want)
	}
	return found
}
