package cli_test

import (
	"syscall"
	"testing"
)

// TestRollingRestartLosesAndRepeatsNothing restarts two copies of a consumer in
// turn, each time when both have their hands full and more is waiting.
func TestRollingRestartLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	const copies, turns, tasks = 2, 6, 60
	r := newRig(t, "wav")
	var all, running []*process
	for range copies {
		running = append(running, r.start(t))
	}
	all = append(all, running...)
	for turn := range turns {
		r.host.hold("audio.wav", turn%copies == 0)
		r.call(t, tasks)
		eventually(t, "all hands full", func() bool { return r.host.holds() == copies*workers })
		leaving := running[turn%copies]
		before := leaving.handled()
		if err := leaving.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		r.host.release()
		if status := leaving.wait(); status != 0 {
			t.Errorf("%s ended with status %d", leaving.name, status)
		}
		if n := leaving.handled() - before; n < workers {
			t.Errorf("only %d of the %d deliveries in hand were finished", n, workers)
		}
		running[turn%copies] = r.start(t)
		all = append(all, running[turn%copies])
	}
	r.awaitSettled(t)

	for id, times := range r.awaitHandlings(t, all...) {
		if len(times) != 1 || times[0].Verdict != "ack" || times[0].Error != "" || times[0].SettleError != "" {
			t.Errorf("%s: handled like this: %+v", id, times)
		}
	}
	r.checkDone(t, "")
}
