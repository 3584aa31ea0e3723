package subscribe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/subscribe"
)

func TestCallbackIsWhatTheProviderSent(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	body := `{"code":200,"msg":"All generated.","data":{"task_id":"5c79****be8e","audioWavUrl":"https://media.example/a.wav"}}`
	want := publish(t, b, "wav", body)
	publish(t, b, "music", failed(1)) // another type's
	var got seen[string]
	came := make(chan callback.Callback, 1)
	callbacks(t, subscribe.Options{Broker: b}, "wav", func(_ context.Context, cb callback.Callback) error {
		got.add(cb.MessageID())
		came <- cb
		return nil
	})
	cb := <-came
	settled(t, js, "CALLBACKS", "billing_wav")
	if cb.MessageID() != want.MessageID() || cb.Message != "All generated." || !cb.Received.Equal(want.Received) || !bytes.Equal(cb.Body, []byte(body)) {
		t.Errorf("%+v came, %+v was published", cb, want)
	}
	got.onceEach(t, 1)
}

func TestEveryServiceSeesEverything(t *testing.T) {
	t.Parallel()
	const n = 50
	b, js := provisioned(t)
	var billing, mail seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, Name: "billing"}, "wav", tasks(&billing))
	callbacks(t, subscribe.Options{Broker: b, Name: "mail"}, "wav", tasks(&mail))
	for i := range n {
		publish(t, b, "wav", failed(i))
	}
	eventually.Await(t, "both have seen everything", func() bool { return billing.different() == n && mail.different() == n })
	settled(t, js, "CALLBACKS", "billing_wav")
	settled(t, js, "CALLBACKS", "mail_wav")
	billing.onceEach(t, n)
	mail.onceEach(t, n)
}

func TestCopiesOfAServiceShareTheWork(t *testing.T) {
	t.Parallel()
	const n = 200
	b, js := provisioned(t)
	var all seen[callback.TaskID]
	var each [2]seen[callback.TaskID]
	for i := range each {
		callbacks(t, subscribe.Options{Broker: b, Workers: 4}, "wav", func(_ context.Context, cb callback.Callback) error {
			all.add(cb.TaskID)
			each[i].add(cb.TaskID)
			<-time.After(time.Millisecond) // long enough for the other to get its share
			return nil
		})
	}
	waiting(t, js, "CALLBACKS", "billing_wav", 8)
	for i := range n {
		publish(t, b, "wav", failed(i))
	}
	eventually.Await(t, "everything seen", func() bool { return all.different() == n })
	settled(t, js, "CALLBACKS", "billing_wav")
	all.onceEach(t, n)
	for i := range each {
		if each[i].different() == 0 {
			t.Errorf("copy %d got nothing", i)
		}
	}
}

func TestOneServiceSubscribesToTypesAndResults(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	var got seen[string]
	start(t, subscribe.Options{Broker: b}, func(ctx context.Context, s *subscribe.Subscriber) error {
		var group sync.WaitGroup
		for _, typ := range []callback.Type{"wav", "music"} {
			group.Go(func() {
				if err := s.Callbacks(ctx, typ, func(_ context.Context, cb callback.Callback) error {
					got.add("callback " + string(cb.Type))
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		defer group.Wait()
		return s.Results(ctx, "wav", onResultSeen(&got))
	})
	publish(t, b, "wav", failed(1))
	publish(t, b, "music", failed(1))
	state(t, b, "wav", "a", 1)
	eventually.Await(t, "all three seen", func() bool { return got.different() == 3 })
	settled(t, js, "CALLBACKS", "billing_wav")
	settled(t, js, "CALLBACKS", "billing_music")
	settled(t, js, "KV_RESULTS", "billing_wav")
	got.onceEach(t, 3)
}

func TestNothingIsMissedAcrossRestartsOfTheService(t *testing.T) {
	t.Parallel()
	const n = 240
	b, js := provisioned(t)
	var got seen[callback.TaskID]
	handle := func(ctx context.Context, cb callback.Callback) error {
		<-time.After(2 * time.Millisecond)
		return tasks(&got)(ctx, cb)
	}
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := range n {
			publish(t, b, "wav", failed(i))
		}
	})
	for share := 1; share <= 3; share++ {
		s := callbacks(t, subscribe.Options{Broker: b}, "wav", handle)
		eventually.Await(t, "a share seen", func() bool { return got.different() >= n*share/4 })
		s.stop()
	}
	publishing.Wait()
	callbacks(t, subscribe.Options{Broker: b}, "wav", handle)
	eventually.Await(t, "everything seen", func() bool { return got.different() == n })
	settled(t, js, "CALLBACKS", "billing_wav")
	got.onceEach(t, n) // as nothing was lost on the way
}

// A copy whose connection is gone can neither ack nor give signs of life.
func TestAnotherCopyGetsWhatADeadOneHadInHand(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	dying := natstest.Connect(t, server)
	begun, release := make(chan struct{}), make(chan struct{})
	callbacks(t, subscribe.Options{Broker: dying, AckWait: moment}, "wav", func(context.Context, callback.Callback) error {
		close(begun) // twice would panic
		<-release
		return nil
	})
	defer close(release)
	publish(t, b, "wav", failed(1))
	<-begun
	dying.Close()
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, AckWait: moment}, "wav", tasks(&got))
	eventually.Await(t, "the other copy has it", func() bool { return got.different() == 1 })
	settled(t, natstest.JetStream(t, server), "CALLBACKS", "billing_wav")
}

func TestDeadLettersOnAnotherGoAreNotSeen(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	cb := publish(t, b, "wav", failed("first"))
	again := nats.NewMsg("redeliver.wav.error")
	again.Data = cb.Body
	again.Header["ce-id"] = []string{cb.MessageID()}
	if _, err := js.PublishMsg(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "wav", failed("last"))
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b}, "wav", tasks(&got))
	eventually.Await(t, "the last seen", func() bool { return got.count("task-last") == 1 })
	settled(t, js, "CALLBACKS", "billing_wav")
	got.onceEach(t, 2)
	if i := info(t, js, "CALLBACKS", "billing_wav"); i.Delivered.Consumer != 2 {
		t.Errorf("%d deliveries", i.Delivered.Consumer)
	}
}

func TestWhatFailsComesAgainLaterEachTime(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	var at []time.Time // one delivery at a time, so far apart
	done := make(chan struct{})
	callbacks(t, subscribe.Options{Broker: b}, "wav", func(context.Context, callback.Callback) error {
		if at = append(at, time.Now()); len(at) < 3 {
			return errors.New("not yet")
		}
		close(done) // a fourth time would panic
		return nil
	})
	publish(t, b, "wav", failed(1))
	<-done
	settled(t, js, "CALLBACKS", "billing_wav")
	first, second := at[1].Sub(at[0]), at[2].Sub(at[1])
	if first < 750*time.Millisecond || second < 1550*time.Millisecond {
		t.Errorf("came again after %s and %s", first, second)
	}
}

func TestWhatFailsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, Workers: 1}, "wav", func(_ context.Context, cb callback.Callback) error {
		if cb.TaskID == "task-bad" {
			return errors.New("never")
		}
		return tasks(&got)(t.Context(), cb)
	})
	publish(t, b, "wav", failed("bad"))
	publish(t, b, "wav", failed("good"))
	eventually.Await(t, "the other seen", func() bool { return got.count("task-good") == 1 })
}

func TestPermanentErrorEndsTheMessageAndNoOther(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	log, text := logger()
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, Logger: log, Workers: 1}, "wav", func(ctx context.Context, cb callback.Callback) error {
		_ = tasks(&got)(ctx, cb)
		if cb.TaskID == "task-bad" {
			return fmt.Errorf("bill it: %w", subscribe.Permanent(errors.New("no such\r\ncustomer")))
		}
		return nil
	})
	publish(t, b, "wav", failed("bad"))
	publish(t, b, "wav", failed("good"))
	eventually.Await(t, "both seen", func() bool { return got.different() == 2 })
	settled(t, js, "CALLBACKS", "billing_wav")
	got.onceEach(t, 2)
	for _, word := range []string{`"level":"ERROR"`, `"verdict":"term"`, "wav/task-bad/error/500", "no such", `"durable":"billing_wav"`} {
		if !strings.Contains(text.String(), word) {
			t.Errorf("the log does not say %s:\n%s", word, text)
		}
	}
	if subscribe.Permanent(nil) != nil {
		t.Error("no error became one")
	}
}

func TestPanicCostsItsOwnDeliveryOnly(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, Workers: 1}, "wav", func(ctx context.Context, cb callback.Callback) error {
		_ = tasks(&got)(ctx, cb)
		if cb.TaskID == "task-bad" && got.count("task-bad") == 1 {
			panic("lost my mind")
		}
		return nil
	})
	publish(t, b, "wav", failed("bad"))
	publish(t, b, "wav", failed("good"))
	eventually.Await(t, "both seen, one of them twice", func() bool { return len(got.get()) == 3 })
	settled(t, js, "CALLBACKS", "billing_wav")
	if got.count("task-bad") != 2 {
		t.Errorf("seen: %v", got.get())
	}
}

func TestWhatIsNoCallbackIsEndedUnseen(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	log, text := logger()
	for _, body := range []string{"", "{", "{}", `{"code":200,"msg":"","data":{"task_id":"t"}}`, "\xff\x00"} {
		msg := nats.NewMsg("callbacks.wav.complete")
		msg.Data = []byte(body)
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b, "wav", failed("good"))
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, Logger: log}, "wav", tasks(&got))
	eventually.Await(t, "the callback seen", func() bool { return got.different() == 1 })
	settled(t, js, "CALLBACKS", "billing_wav")
	got.onceEach(t, 1)
	// The server knows of an end before the log does.
	eventually.Await(t, "five ends logged", func() bool { return strings.Count(text.String(), `"verdict":"term"`) == 5 })
}

// A message that nobody is free for is another copy's.
func TestNoMoreIsFetchedThanWorkersAreFree(t *testing.T) {
	t.Parallel()
	const workers = 3
	b, js := provisioned(t)
	for i := range 10 {
		publish(t, b, "wav", failed(i))
	}
	var inHand, most atomic.Int64
	release := make(chan struct{})
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, Workers: workers}, "wav", func(ctx context.Context, cb callback.Callback) error {
		if n := inHand.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer inHand.Add(-1)
		<-release
		return tasks(&got)(ctx, cb)
	})
	eventually.Await(t, "all workers work", func() bool { return inHand.Load() == workers })
	<-time.After(moment)
	if i := info(t, js, "CALLBACKS", "billing_wav"); i.NumAckPending != workers || i.NumWaiting != 0 {
		t.Errorf("%d messages fetched, %d more asked for", i.NumAckPending, i.NumWaiting)
	}
	close(release)
	eventually.Await(t, "everything seen", func() bool { return got.different() == 10 })
	if most.Load() > workers {
		t.Errorf("%d at a time", most.Load())
	}
}

func TestSlowHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel()
	const ackWait = 5 * moment
	b, js := provisioned(t)
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, AckWait: ackWait}, "wav", func(ctx context.Context, cb callback.Callback) error {
		_ = tasks(&got)(ctx, cb)
		<-time.After(2 * ackWait)
		return nil
	})
	publish(t, b, "wav", failed(1))
	eventually.Await(t, "seen", func() bool { return got.different() == 1 })
	settled(t, js, "CALLBACKS", "billing_wav")
	got.onceEach(t, 1)
}
