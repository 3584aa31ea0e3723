package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fanfare/pkg/eventually"
)

// forgotten is more than a killed server forgets of the acks that it has confirmed:
// it writes down what a durable has settled ten times a second, not before it
// confirms (nats-server 2.15, consumerFileStore.flushLoop).
const forgotten = time.Second

// TestBrokerIsKilledUnderAConsumer kills the server twice: first when every worker
// has a download in hand and the server knows of all that is settled, which is
// then handled once; then in full swing, when what was settled in the last moment
// may be handled again. No file is downloaded again, whatever the server forgets.
func TestBrokerIsKilledUnderAConsumer(t *testing.T) {
	t.Parallel()
	const before, tasks = 60, 200
	r := newRig(t, "wav")
	consumer := r.start(t)
	r.call(t, before)
	eventually.Await(t, "some tasks done", func() bool { return consumer.handled() == before })

	r.host.hold("audio.wav", true)
	r.call(t, tasks-before)
	eventually.Await(t, "every worker at a download", func() bool { return r.host.holds() == workers })
	eventually.Await(t, "the acks written down", func() bool { return r.server.quiet(t) })
	r.server.signal(syscall.SIGKILL)
	first := time.Now()
	r.host.release()
	eventually.Await(t, "results that cannot be written", func() bool { return strings.Contains(consumer.err.String(), "fetching stops until they can") })
	eventually.Await(t, "the downloads done all the same", func() bool { return r.host.holds() == 0 })
	straggler := r.called[before+2*workers]
	r.host.hold(mediaPath(straggler, "audio.wav"), true)
	r.server.start(t)

	// A server that has forgotten a delivery does not answer its ack before it has
	// delivered it again, so that a consumer whose workers all wait for such answers
	// stands still until they give up, 30 s later: the straggler's worker does not.
	eventually.Await(t, "work going on", func() bool { return consumer.handled() > tasks*2/3 })
	r.server.signal(syscall.SIGKILL)
	second := time.Now()
	r.server.start(t)
	r.host.release()
	r.redeliverAfter(t, time.Second)
	r.awaitSettled(t)

	again := 0
	for id, times := range r.awaitHandlings(t, consumer) {
		for _, h := range times {
			if h.Verdict != "ack" || h.Error != "" || h.SettleError != "" && h.Time.Before(second) {
				t.Errorf("%s: %+v", id, h)
			}
		}
		if len(times) == 1 {
			continue
		}
		again++
		if at := times[0].Time; len(times) > 2 || at.Before(second.Add(-forgotten)) {
			t.Errorf("%s was handled %d times, at first %s after the first kill and %s after the second", id, len(times), at.Sub(first), at.Sub(second))
		}
	}
	t.Logf("%d of %d tasks were settled in the last moment before the second kill, and handled again", again, tasks)
	r.checkDone(t, "")
}

// quiet reports whether the server has written nothing for a while of what the
// durables have settled.
func (s *natsServer) quiet(tb testing.TB) bool {
	tb.Helper()
	states, err := filepath.Glob(filepath.Join(s.dir, "jetstream", "*", "streams", "CALLBACKS", "obs", "*", "o.dat"))
	if err != nil || len(states) == 0 {
		tb.Fatalf("no durable's state in %s: %v", s.dir, err)
	}
	for _, state := range states {
		info, err := os.Stat(state)
		if err != nil || time.Since(info.ModTime()) < forgotten {
			return false
		}
	}
	return true
}
