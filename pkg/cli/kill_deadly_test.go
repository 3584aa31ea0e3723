package cli_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/result"
)

// deadlyKills is how many processes a message may end.
const deadlyKills = 12

// lockstep is in how many of these processes other messages are, and come again
// together with it.
const lockstep = 2

// TestMessageThatEndsItsProcessIsADeadLetter kills the consumer whenever it asks
// for the media of one task, while others come in, and after others were killed with
// it.
func TestMessageThatEndsItsProcessIsADeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t, "wav")
	r.redeliverAfter(t, time.Second)
	r.host.slow = 200 * time.Millisecond // by then, one that is in hand beside the deadly one is killed with it
	together := r.call(t, 4)
	deadly := together[0]
	media := mediaPath(deadly, "audio.wav")
	kills := r.killTogether(t, together)
	r.host.hold(media, true)
	for kills <= deadlyKills {
		r.start(t)
		r.call(t, 3)
		eventually.Await(t, "the media asked for, or a dead letter", func() bool {
			return r.host.asked()[media] > kills || r.stored(t, "DEAD_LETTERS") > 0
		})
		if r.host.asked()[media] == kills {
			break
		}
		r.consumer.signal(syscall.SIGKILL)
		kills++
	}
	if kills > deadlyKills {
		t.Fatalf("it has ended %d processes and is no dead letter", kills)
	}
	r.awaitSettled(t)

	list := fanfare(t, "dead-letter", "list", "--json", "--nats-url", r.server.url())
	var letter struct {
		TaskID     string `json:"task_id"`
		Reason     string `json:"reason"`
		Deliveries int    `json:"deliveries"`
	}
	if status := list.wait(); status != 0 {
		t.Fatalf("dead-letter list: status %d", status)
	}
	if err := json.Unmarshal([]byte(list.out.String()), &letter); err != nil {
		t.Fatalf("%s: %v", list.out.String(), err)
	}
	if letter.TaskID != string(deadly) || letter.Reason != "deadly" || letter.Deliveries <= deadlyKills {
		t.Errorf("the dead letter is %s", list.out.String())
	}
	// A slow machine may miss the ack wait: the message then comes again to a
	// process that has it in hand, and that counts as a delivery too.
	if other := letter.Deliveries - 1 - deadlyKills; kills+other < deadlyKills {
		t.Errorf("it ended %d processes in %d deliveries, want %d", kills, letter.Deliveries-1, deadlyKills)
	}
	r.checkDeadly(t)
}

// killTogether kills the consumer whenever it has all these tasks in hand.
func (r *rig) killTogether(tb testing.TB, tasks []callback.TaskID) (kills int) {
	tb.Helper()
	r.host.hold("audio.wav", true)
	for kills < lockstep {
		r.start(tb)
		for _, id := range tasks {
			eventually.Await(tb, "the media asked for", func() bool { return r.host.asked()[mediaPath(id, "audio.wav")] > kills })
		}
		r.consumer.signal(syscall.SIGKILL)
		kills++
	}
	return kills
}

// checkDeadly holds the first task, which was given up, and all the others, which
// are done, against what must be.
func (r *rig) checkDeadly(tb testing.TB) {
	tb.Helper()
	deadly, others := r.called[0], r.called[1:]
	documents := r.results(tb, deadly)
	last := documents[len(documents)-1]
	if len(documents) != 2 || last.Archive != result.AllFailed || last.Outcome != result.Succeeded || last.Times.Archived.IsZero() || last.Media[0].Archived() {
		tb.Errorf("%s: the result went %+v", deadly, documents)
	}
	eventually.Await(tb, "its folder swept", func() bool { return r.lies(tb, deadly) == "" })
	for _, id := range others {
		r.checkTask(tb, id)
	}
	r.called = others
	r.checkArchive(tb)
}
