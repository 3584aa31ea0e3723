package cli_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/eventually"
)

// polling are the flags of a reconciler in a hurry that asks the simulator.
func (s *standalone) polling(tb testing.TB) []string {
	tb.Helper()
	key := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(key, []byte("the key\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return []string{"--provider-url", "http://" + s.media, "--provider-key-file", key, "--poll-after", "2s", "--poll-every", "1s"}
}

// miss plays a provider that misses callbacks, and whose media are in order.
func (s *standalone) miss(tb testing.TB, tasks int, more ...string) *process {
	tb.Helper()
	return s.simulate(tb, tasks, append([]string{"--speed", "240", "--no-media-faults"}, more...)...)
}

// row returns a number of a simulator's report.
func row(tb testing.TB, simulator *process, name string) int {
	tb.Helper()
	for line := range strings.Lines(simulator.out.String()) {
		if value, ok := strings.CutPrefix(line, name+"  "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
			return n
		}
	}
	tb.Fatalf("the report has no row %s:\n%s", name, simulator.out.String())
	return 0
}

// checkPolls holds the rows of a report against what must be more than nothing, and
// what must be no more than that.
func checkPolls(tb testing.TB, simulator *process, some, none []string) {
	tb.Helper()
	for _, name := range some {
		if row(tb, simulator, name) == 0 {
			tb.Errorf("%s is 0:\n%s", name, simulator.out.String())
		}
	}
	for _, name := range none {
		if row(tb, simulator, name) != 0 {
			tb.Errorf("%s is not 0:\n%s", name, simulator.out.String())
		}
	}
}

func TestMissedCallbacksAreFound(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t, s.polling(t)...)
	simulator := s.miss(t, 150, "--drop", "0.3", "--delay", "0.1", "--race", "0.1", "--poll-errors", "0.2")
	checkReport(t, simulator)
	checkPolls(t, simulator,
		[]string{"announced", "unannounced", "dropped", "delayed", "raced", "poll errors", "final answers"},
		[]string{"polls after it", "over budget", "polls at once", "polls no key", "stored twice"})
	if found, lost := row(t, simulator, "final answers"), row(t, simulator, "dropped"); found < lost {
		t.Errorf("%d of %d dropped tasks were asked for", found, lost)
	}
	if strings.Contains(s.err.String(), `"level":"ERROR"`) || strings.Contains(s.err.String(), "announced task not looked after") {
		t.Error("the log tells of trouble")
	}
}

func TestSimulationWithoutReconcilerSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	simulator := s.miss(t, 5, "--drop", "1", "--settle", "1s")
	if status := simulator.wait(); status != 1 || row(t, simulator, "missing")+row(t, simulator, "wrong") != 5 ||
		!strings.Contains(simulator.err.String(), "missing or wrong") {
		t.Errorf("status %d: %s%s", status, simulator.out.String(), simulator.err.String())
	}
	for flag, want := range map[string]string{"--drop=2": "Drop", "--poll-errors=0.9": "PollErrors", "--settle=2h": "Settle"} {
		if p := s.miss(t, 5, flag); p.wait() != 1 || !strings.Contains(p.err.String(), want) {
			t.Errorf("%s: %s", flag, p.err.String())
		}
	}
}

// reconciled is separate, with reconcilers. What a killed one had in hand comes back
// soon.
type reconciled struct {
	*separate
	flags []string
}

func startReconciled(tb testing.TB) *reconciled {
	tb.Helper()
	r := &reconciled{separate: startSeparate(tb)}
	r.flags = append(r.polling(tb), "--nats-url", "nats://"+r.nats, "--egress-allow", r.media)
	conn, err := nats.Connect("nats://" + r.nats)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = js.CreateConsumer(tb.Context(), "TASKS", jetstream.ConsumerConfig{
		Durable:       "reconciler_" + strings.NewReplacer(".", "=2E", ":", "=3A").Replace(r.media),
		FilterSubject: "tasks.>",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       3 * time.Second, // instead of half a minute
		MaxAckPending: 100_000,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func (r *reconciled) reconcile(tb testing.TB) *process {
	tb.Helper()
	return fanfare(tb, append([]string{"reconciler"}, r.flags...)...)
}

// TestKilledReconcilerLosesNothing kills one of two reconcilers time and again in the
// midst of its polls.
func TestKilledReconcilerLosesNothing(t *testing.T) {
	t.Parallel()
	const workersOfOne = 8
	r := startReconciled(t)
	victim := r.reconcile(t)
	survivor := r.reconcile(t)
	simulator := r.miss(t, 100, "--drop", "0.7", "--race", "0.1", "--poll-errors", "0.2")
	kills := 0
	for polls := `"msg":"poll"`; kills < 4; kills++ {
		eventually.Await(t, "it polls", func() bool {
			return strings.Count(victim.err.String(), polls) > 2 || len(simulator.done) > 0
		})
		victim.signal(syscall.SIGKILL)
		victim = r.reconcile(t)
	}
	checkReport(t, simulator)
	checkPolls(t, simulator, []string{"dropped", "raced", "poll errors"}, []string{"over budget", "polls at once", "polls no key", "stored twice"})
	if after := row(t, simulator, "polls after it"); after > kills*workersOfOne {
		t.Errorf("%d polls after a final answer: more than the killed ones had in hand", after)
	}
	for _, p := range []*process{victim, survivor} {
		if status := p.signal(syscall.SIGTERM); status != 0 {
			t.Errorf("%s ended with status %d", p.name, status)
		}
	}
}

// TestNothingIsLostWhileTheGatewayIsAway has a gateway away until the provider has
// called some tasks in vain for the last time.
func TestNothingIsLostWhileTheGatewayIsAway(t *testing.T) {
	t.Parallel()
	r := startReconciled(t)
	r.reconcile(t)
	r.signal(syscall.SIGKILL)
	simulator := r.miss(t, 100, "--rate", "8", "--announce", "--unannounced", "0", "--poll-errors", "0.1")
	eventually.Await(t, "callbacks were given up", func() bool { return strings.Count(simulator.err.String(), "callback given up") >= 30 })
	r.process = fanfare(t, "gateway", "--nats-url", "nats://"+r.nats, "--listen", r.listen, "--ops-listen", r.ops)
	checkReport(t, simulator)
	checkPolls(t, simulator, []string{"given up", "answered 200", "final answers"}, []string{"polls after it", "over budget", "polls at once", "stored twice"})
	if row(t, simulator, "announced") != 100 {
		t.Errorf("not all are announced:\n%s", simulator.out.String())
	}
}
