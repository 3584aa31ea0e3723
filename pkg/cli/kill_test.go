//go:build linux || darwin

package cli_test

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/result"
)

// killsVariable is the environment variable that says how often the consumer is
// killed at each point, twice by default.
const killsVariable = "FANFARE_TEST_KILLS"

// point is where in its work a consumer is killed: all of its workers have come as
// far as they are let.
type point struct {
	name     string
	typ      callback.Type // wav, unless it says otherwise
	withhold rule          // of what the consumer publishes
	hold     string        // the file that the media host holds back
	half     bool          // after half of it
	lock     bool          // the archive is locked, and then goes on what was withheld or held back

	lies    string         // in a task's folder at the kill
	archive result.Archive // what the task's result says by then; "": there is none
	again   string         // the file that is downloaded a second time
}

func points() []point {
	return []point{
		{
			name:     "before the first result",
			withhold: firstResult,
		},
		{
			name: "before the answer", hold: "audio.wav",
			archive: result.Pending, again: "audio.wav",
		},
		{
			name: "in the body", hold: "audio.wav", half: true,
			lies: "part", archive: result.Pending, again: "audio.wav",
		},
		{
			name: "before the name", hold: "audio.wav", half: true, lock: true,
			lies: "whole", archive: result.Pending, again: "audio.wav",
		},
		{
			name: "before the result", withhold: secondResult,
			lies: "audio.wav", archive: result.Pending,
		},
		{
			name: "before the manifest", withhold: secondResult, lock: true,
			lies: "audio.wav", archive: result.Archived,
		},
		{
			name: "before the ack", withhold: isAck,
			lies: "audio.wav result.json", archive: result.Archived,
		},
		{
			name: "in the third of four files", typ: "music", hold: "two.mp3", half: true,
			lies: "one.jpeg one.mp3 part", archive: result.Pending, again: "two.mp3",
		},
		{
			name: "before the result of four files", typ: "music", withhold: secondResult,
			lies: "one.jpeg one.mp3 two.jpeg two.mp3", archive: result.Pending,
		},
	}
}

// TestKilledConsumerLosesAndRepeatsNothing kills a consumer at each point with all
// of its workers there, and starts it again.
func TestKilledConsumerLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	kills, err := strconv.Atoi(cmp.Or(os.Getenv(killsVariable), "2"))
	if err != nil {
		t.Fatalf("%s: %v", killsVariable, err)
	}
	for _, p := range points() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, cmp.Or(p.typ, "wav"))
			r.start(t)
			for range kills {
				p.kill(t, r)
				r.revive(t)
			}
			r.checkDone(t, p.again)
		})
	}
}

// kill brings new tasks to the point and kills the consumer there.
func (p point) kill(tb testing.TB, r *rig) {
	tb.Helper()
	r.wire.withhold(p.withhold)
	if p.hold != "" {
		r.host.hold(p.hold, p.half)
	}
	tasks := r.call(tb, workers)
	eventually.Await(tb, "all workers held up", func() bool { return r.wire.holds()+r.host.holds() == workers })
	if p.lock {
		if p.half {
			p.await(tb, r, tasks, "part", result.Pending) // the temporaries need the lock to appear
		}
		defer lock(tb, r.archive)()
		r.wire.release()
		r.host.release()
	}
	p.await(tb, r, tasks, p.lies, p.archive)
	r.consumer.signal(syscall.SIGKILL)
	for _, id := range tasks {
		if lies, archive := r.lies(tb, id), r.archiveOf(tb, id); lies != p.lies || archive != p.archive {
			tb.Errorf("%s: killed when %q lay there and the result said %q", id, lies, archive)
		}
	}
	r.wire.withhold(nil)
	r.host.release()
}

// await waits until all tasks stand as they are said to.
func (p point) await(tb testing.TB, r *rig, tasks []callback.TaskID, lies string, archive result.Archive) {
	tb.Helper()
	for _, id := range tasks {
		eventually.Await(tb, "at the point "+p.name, func() bool { return r.lies(tb, id) == lies && r.archiveOf(tb, id) == archive })
	}
}

// archiveOf is what a task's result says of its media, "" if there is none.
func (r *rig) archiveOf(tb testing.TB, id callback.TaskID) result.Archive {
	tb.Helper()
	doc, _, err := r.broker.Results().Get(tb.Context(), r.typ, id)
	if err != nil {
		tb.Fatal(err)
	}
	return doc.Archive
}

// revive starts a consumer after a kill and waits until it has done everything,
// also away with what a dead process left in a folder that no delivery leads to.
func (r *rig) revive(tb testing.TB) {
	tb.Helper()
	folder := filepath.Join(r.archive, string(r.typ), "elsewhere")
	debris := filepath.Join(folder, "audio.wav.1badc0de.tmp")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(debris, []byte("RIFF"), 0o600); err != nil {
		tb.Fatal(err)
	}
	r.redeliverAfter(tb, 500*time.Millisecond)
	r.start(tb)
	r.awaitSettled(tb)
	eventually.Await(tb, "the archive swept", func() bool {
		_, err := os.Stat(debris)
		return os.IsNotExist(err)
	})
	r.redeliverAfter(tb, time.Minute)
}

// lock locks a directory, as the archive does for the moments in which a temporary
// appears or becomes a file.
func lock(tb testing.TB, dir string) (unlock func()) {
	tb.Helper()
	opened, err := os.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Flock(int(opened.Fd()), syscall.LOCK_EX); err != nil {
		tb.Fatal(err)
	}
	return func() { _ = opened.Close() }
}
