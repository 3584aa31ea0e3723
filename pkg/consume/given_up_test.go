package consume_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/consumers/music"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/eventually"
	"fanfare/pkg/media"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
)

// TestAMessageThatEndsTheProcessIsADeadLetterUnseen delivers a message 12 times
// without anybody settling it.
func TestAMessageThatEndsTheProcessIsADeadLetterUnseen(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	js := natstest.JetStream(t, server)
	consumer, err := js.Consumer(t.Context(), "CALLBACKS", "wav")
	if err != nil {
		t.Fatal(err)
	}
	impatient := consumer.CachedInfo().Config
	impatient.AckWait = 50 * time.Millisecond
	if _, err := js.UpdateConsumer(t.Context(), "CALLBACKS", impatient); err != nil {
		t.Fatal(err)
	}
	cb := publish(t, b, "wav", failedWAV(1), time.Now())
	durable, _, err := b.OwnDurable("wav").Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 12 {
		if d, err := durable.Next(patience); err != nil || d == nil {
			t.Fatalf("delivery %v, %v", d, err)
		}
	}
	seen, abandoned := newTally(), newTally()
	run(t, consume.Options{
		Broker: b, Contract: contract(t, "wav"),
		Handler: func(_ context.Context, d consume.Delivery) error {
			seen.add(d.Callback.TaskID)
			return nil
		},
		Abandon: func(_ context.Context, cb callback.Callback) error {
			abandoned.add(cb.TaskID)
			return nil
		},
	})
	letter := deadLetters(t, b, 1)[0]
	if letter.Header["Fanfare-Reason"] != "deadly" || letter.Header["Fanfare-Deliveries"] != "13" || !bytes.Equal(letter.Body, cb.Body) {
		t.Errorf("dead letter is %+v", letter)
	}
	eventually.Await(t, "settled", func() bool { return unsettled(t, b, "wav") == 0 })
	if seen.tasks() != 0 {
		t.Error("the handler saw it")
	}
	abandoned.onceEach(t, 1)
}

// Whoever records what becomes of a callback is told before it is given up, whyever it
// is, and it is not given up before that is recorded.
func TestWhatIsGivenUpIsAbandonedFirst(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	abandoned, outage := newTally(), newTally()
	run(t, consume.Options{
		Broker: b, Contract: contract(t, "wav"), GiveUp: time.Nanosecond,
		Handler: func(_ context.Context, d consume.Delivery) error {
			switch d.Callback.TaskID {
			case "task-1":
				panic("lost my mind")
			case "task-2":
				return errors.New("no luck")
			case "task-3":
				return consume.Permanent(errors.New("never"))
			default:
				return nil
			}
		},
		Probe: func(context.Context) error { return nil },
		Abandon: func(_ context.Context, cb callback.Callback) error {
			if outage.add(cb.TaskID) == 1 {
				return fmt.Errorf("for once: %w", broker.ErrUnavailable)
			}
			abandoned.add(cb.TaskID)
			return nil
		},
	})
	for i := range 4 {
		publish(t, b, "wav", failedWAV(i), time.Now())
	}
	letters := deadLetters(t, b, 3)
	var reasons []string
	for _, letter := range letters {
		reasons = append(reasons, letter.Header["Fanfare-Reason"])
	}
	if slices.Sort(reasons); !slices.Equal(reasons, []string{"gave_up", "gave_up", "permanent"}) {
		t.Errorf("given up for %q", reasons)
	}
	eventually.Await(t, "settled", func() bool { return unsettled(t, b, "wav") == 0 })
	abandoned.onceEach(t, 3)
}

// A callback that is given up takes nothing from a later one of its task, whose media
// are still to come.
func TestGivingUpAnEarlierCallbackLeavesTheMediaOfALater(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	store, err := media.OpenArchive(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	archiver, err := consume.NewArchiver(prometheus.NewRegistry(), music.Spec(), b.Results(), store, media.FetcherOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = archiver.Close() })
	said := func(stage, tracks string) callback.Callback {
		cb, err := contract(t, "music").Decode(fmt.Appendf(nil, `{"code":200,"msg":"","data":{"callbackType":%q,"task_id":"t","data":[%s]}}`, stage, tracks))
		if err != nil {
			t.Fatal(err)
		}
		return cb
	}
	const one, two = `{"id":"one","audio_url":"https://host/1.mp3"}`, `{"id":"two","audio_url":"https://host/2.mp3"}`
	first, complete := said("first", one), said("complete", one+","+two)
	if _, err := b.Results().Merge(t.Context(), result.New(complete, []result.Media{
		{Name: "one.mp3", SourceURL: "https://host/1.mp3"}, {Name: "two.mp3", SourceURL: "https://host/2.mp3"},
	})); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		given callback.Callback
		want  result.Archive
	}{{first, result.Pending}, {complete, result.AllFailed}} {
		if err := archiver.Abandon(t.Context(), row.given); err != nil {
			t.Fatal(err)
		}
		doc, _, err := b.Results().Get(t.Context(), "music", "t")
		if err != nil || doc.Archive != row.want {
			t.Errorf("after %s was given up: archive %s, %v", row.given.Stage, doc.Archive, err)
		}
	}
}
