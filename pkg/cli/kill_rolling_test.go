package cli_test

import (
	"strings"
	"syscall"
	"testing"

	"fanfare/pkg/eventually"
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
		eventually.Await(t, "all hands full", func() bool { return r.host.holds() == copies*workers })
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

// TestShutdownWaitsForDownloadsAsLongAsItIsTold ends a hasty copy of a consumer and a
// patient one while the media host holds on to all that they ask for.
func TestShutdownWaitsForDownloadsAsLongAsItIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, "wav")
	r.host.hold("audio.wav", true)
	hasty, patient := r.start(t, "--drain", "1ms"), r.start(t, "--drain", "1h")
	r.call(t, 2*workers)
	eventually.Await(t, "all hands full", func() bool { return r.host.holds() == 2*workers })
	for _, leaving := range []*process{hasty, patient} {
		if err := leaving.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if status := hasty.wait(); status != 0 {
		t.Errorf("%s ended with status %d", hasty.name, status)
	}
	if log := hasty.err.String(); strings.Contains(log, "cannot be written") {
		t.Errorf("the archive is blamed for the end:\n%s", log)
	}
	eventually.Await(t, "the patient one's downloads alone", func() bool { return r.host.holds() == workers })
	r.host.release()
	if status := patient.wait(); status != 0 {
		t.Errorf("%s ended with status %d", patient.name, status)
	}
	for id, times := range handlings(t, patient) {
		if len(times) != 1 || times[0].Verdict != "ack" {
			t.Errorf("%s: handled like this: %+v", id, times)
		}
	}
	if n := patient.handled(); n != workers {
		t.Errorf("%d of the %d deliveries in hand were finished", n, workers)
	}
	r.start(t) // takes up what the hasty one handed back
	r.awaitSettled(t)
	for _, id := range r.called {
		r.checkTask(t, id)
	}
}

func TestDrainOfNothingIsRefused(t *testing.T) {
	t.Parallel()
	for _, drain := range []string{"0s", "-1s"} {
		p := fanfare(t, "consumer", "wav", "--archive-url", "file://"+t.TempDir(), "--drain="+drain)
		if status := p.wait(); status != 1 || !strings.Contains(p.err.String(), "--drain") {
			t.Errorf("%s: status %d: %s", drain, status, p.err.String())
		}
	}
}
