package cli_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
)

func TestReplayThatFailsAgainIsANewDeadLetter(t *testing.T) {
	t.Parallel()
	m := startMourning(t)
	m.bury(t, "wav", "t1", "t2")
	if out, _ := m.command(t, 0, "replay", "--task", "t1"); out != "1  wav  t1  complete  redelivered\n" {
		t.Errorf("replay says\n%s", out)
	}
	eventually.Await(t, "a new dead letter", func() bool { return slices.Equal(m.numbers(t), []int{2, 3}) })
	out, _ := m.command(t, 0, "list", "--json", "--task", "t1")
	if !strings.Contains(out, `"redelivery_of":1`) || !strings.Contains(out, `"subject":"callbacks.wav.complete"`) {
		t.Errorf("the new one is %s", out)
	}
	m.mend()
	m.command(t, 0, "replay", "--all")
	eventually.Await(t, "archived", func() bool { return m.archived(t, "wav", "t1") && m.archived(t, "wav", "t2") })
	if got := m.numbers(t); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}

// TestReplayThatIsKilledGoesOn replays every dead letter, and those twice that it
// is killed between publishing and deleting.
func TestReplayThatIsKilledGoesOn(t *testing.T) {
	t.Parallel()
	const letters, rate = 40, "20"
	m := startMourning(t)
	subscriber, err := m.js.CreateConsumer(t.Context(), "CALLBACKS", jetstream.ConsumerConfig{
		Durable: "billing", FilterSubject: "callbacks.>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	names := tasks(letters)
	m.bury(t, "wav", names...)
	m.mend()
	for range 2 {
		p := m.begin(t, "replay", "--all", "--rate", rate)
		eventually.Await(t, "replaying", func() bool { return strings.Count(p.out.String(), "\n") >= 8 })
		p.signal(syscall.SIGKILL)
	}
	if left := m.messages(t, "dead-letters.>"); left == 0 || left > letters-16 {
		t.Errorf("%d dead letters are left: it was not killed in the middle", left)
	}
	m.command(t, 0, "replay", "--all", "--rate", "1000")
	m.command(t, 0, "replay", "--all")
	if left, redelivered := m.messages(t, "dead-letters.>"), m.messages(t, "redeliver.>"); left != 0 || redelivered != letters {
		t.Errorf("%d dead letters are left, %d redeliveries of %d are stored", left, redelivered, letters)
	}
	m.settle(t, names)
	m.servedOnce(t, names)

	again := m.redeliverAll(t) // as if it had been killed, and gone on with after the duplicate window
	m.settle(t, names)
	m.servedOnce(t, names)
	if left, stored := m.messages(t, "dead-letters.>"), m.messages(t, "redeliver.>"); left != 0 || again != letters || stored != 2*letters {
		t.Errorf("%d dead letters, %d redeliveries, of which %d again", left, stored, again)
	}
	if info, err := subscriber.Info(t.Context()); err != nil || info.NumPending != letters {
		t.Errorf("a subscriber of callbacks.> gets %d messages, %v, want %d", info.NumPending, err, letters)
	}
}

// settle waits until the consumer is done with every callback and redelivery, of
// which all are its own, and checks that the media of the tasks are archived.
func (m *mourning) settle(tb testing.TB, names []string) {
	tb.Helper()
	eventually.Await(tb, "everything settled", func() bool { return m.settled(tb) })
	for _, task := range names {
		if !m.archived(tb, "wav", task) {
			tb.Errorf("%s is not archived", task)
		}
	}
}

func (m *mourning) settled(tb testing.TB) bool {
	tb.Helper()
	stream, err := m.js.Stream(tb.Context(), "CALLBACKS")
	if err != nil {
		tb.Fatal(err)
	}
	durable, err := stream.Consumer(tb.Context(), "wav")
	if err != nil {
		tb.Fatal(err)
	}
	return durable.CachedInfo().AckFloor.Stream == stream.CachedInfo().State.LastSeq
}

// redeliverAll publishes every redelivery again, under no message ID.
func (m *mourning) redeliverAll(tb testing.TB) (count int) {
	tb.Helper()
	err := m.broker.Read(tb.Context(), "redeliver.>", func(stored broker.Message) error {
		msg := nats.NewMsg(stored.Subject)
		msg.Data = stored.Body
		for name, value := range stored.Header {
			if strings.HasPrefix(name, "ce-") {
				msg.Header[name] = []string{value}
			}
		}
		count++
		_, err := m.js.PublishMsg(tb.Context(), msg)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return count
}

func TestReplayThatIsInterruptedFinishesTheOneInHand(t *testing.T) {
	t.Parallel()
	const letters, rate = 12, 5
	m := startMourning(t)
	names := tasks(letters)
	m.bury(t, "wav", names...)
	m.mend()
	begun := time.Now()
	p := m.begin(t, "replay", "--type", "wav", "--rate", fmt.Sprint(rate))
	eventually.Await(t, "replaying", func() bool { return strings.Count(p.out.String(), "\n") >= 3 })
	if took := time.Since(begun); took < 2*time.Second/rate {
		t.Errorf("three dead letters in %s", took)
	}
	m.freeze(t, func() {
		<-time.After(2 * time.Second / rate) // now the next one is in hand
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		<-time.After(time.Second / rate)
	})
	status := p.wait()
	done, left := strings.Count(p.out.String(), "redelivered\n"), m.messages(t, "dead-letters.>")
	if status != 1 || done+left != letters || strings.Contains(p.out.String(), "stays") ||
		!strings.Contains(p.err.String(), fmt.Sprintf("interrupted: %d of %d dead letters are left: run it again", left, letters)) {
		t.Errorf("status %d, %d left: %s%s", status, left, p.out.String(), p.err.String())
	}
	m.command(t, 0, "replay", "--type", "wav", "--rate", "1000")
	m.settle(t, names)
	m.servedOnce(t, names)
}

// freeze lets the standalone do nothing while do runs.
func (m *mourning) freeze(tb testing.TB, do func()) {
	tb.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		tb.Fatal(err)
	}
	do()
	if err := m.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		tb.Fatal(err)
	}
}

func TestReplayEndsWhenTheBrokerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	const letters = 12
	m := startMourning(t)
	m.bury(t, "wav", tasks(letters)...)
	m.mend()
	p := m.begin(t, "replay", "--all", "--rate", "5")
	eventually.Await(t, "replaying", func() bool { return strings.Count(p.out.String(), "\n") >= 3 })
	status := 0
	m.freeze(t, func() { status = p.wait() })
	if status != 1 || !strings.Contains(p.err.String(), "the broker does not answer") || !strings.Contains(p.out.String(), "stays: ") {
		t.Errorf("status %d: %s%s", status, p.out.String(), p.err.String())
	}
	m.command(t, 0, "replay", "--all", "--rate", "1000")
	m.settle(t, tasks(letters))
	m.servedOnce(t, tasks(letters))
}

// A full stream refuses what is new. What it refuses is retried, and comes when
// there is room again, or need not come any more.
func TestFullDeadLettersLoseNothing(t *testing.T) {
	t.Parallel()
	const letters, room = 20, 8 << 10
	m := startMourning(t)
	stream, err := m.js.Stream(t.Context(), "DEAD_LETTERS")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxBytes = room
	if _, err := m.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	m.call(t, "wav", tasks(letters)...)
	eventually.Await(t, "a dead letter refused", func() bool { return strings.Contains(m.err.String(), "maximum bytes exceeded") })
	buried := m.messages(t, "dead-letters.>")
	_, metrics := get("http://" + m.ops + "/metrics")
	is, most := gauge(t, metrics, "fanfare_stream_bytes"), gauge(t, metrics, "fanfare_stream_max_bytes")
	if buried == 0 || buried == letters || most != room || is < 0.8*room {
		t.Errorf("%d dead letters, the metrics tell of %v of %v bytes", buried, is, most)
	}
	m.mend()
	eventually.Await(t, "nothing left", func() bool { // what was failing when the host was mended dies only when there is room
		if m.messages(t, "dead-letters.>") > 0 {
			m.command(t, 0, "replay", "--all", "--rate", "1000")
		}
		return m.settled(t) && m.messages(t, "dead-letters.>") == 0
	})
	m.settle(t, tasks(letters))
	m.servedOnce(t, tasks(letters))
}

// gauge reads what a metric says of DEAD_LETTERS.
func gauge(tb testing.TB, metrics, name string) (value float64) {
	tb.Helper()
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, name+`{stream="DEAD_LETTERS"} `); ok {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				tb.Fatal(err)
			}
			return value
		}
	}
	tb.Fatalf("no metric %s", name)
	return 0
}
