package consume_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

func TestTwoRunnersShareADurable(t *testing.T) {
	t.Parallel()
	const tasks = 400
	b := natstest.Broker(t)
	handled := newTally()
	var each [2]*tally
	for i := range each {
		each[i] = newTally()
		run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
			handled.add(d.Callback.TaskID)
			each[i].add(d.Callback.TaskID)
			<-time.After(time.Millisecond) // long enough for the other to get its share
			return nil
		}})
	}
	for i := range tasks {
		publish(t, b, "wav", failedWAV(i), time.Now())
	}
	eventually.Await(t, "everything settled", func() bool { return handled.tasks() == tasks && unsettled(t, b, "wav") == 0 })
	handled.onceEach(t, tasks)
	for i := range each {
		if each[i].tasks() == 0 {
			t.Errorf("runner %d handled nothing", i)
		}
	}
}

func TestShutdownUnderLoadLosesNothingAndHandlesNothingTwice(t *testing.T) {
	t.Parallel()
	const tasks = 300
	b := natstest.Broker(t)
	handled := newTally()
	options := consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		<-time.After(2 * time.Millisecond)
		handled.add(d.Callback.TaskID)
		return nil
	}}
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := range tasks {
			publish(t, b, "wav", failedWAV(i), time.Now())
		}
	})
	for share := 1; share <= 3; share++ {
		_, stop := run(t, options)
		eventually.Await(t, "a share handled", func() bool { return handled.tasks() >= tasks*share/4 })
		stop()
	}
	publishing.Wait()
	run(t, options)
	eventually.Await(t, "everything handled", func() bool { return handled.tasks() == tasks })
	eventually.Await(t, "everything settled", func() bool { return unsettled(t, b, "wav") == 0 })
	handled.onceEach(t, tasks)
}

func TestShutdownFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	handled := newTally()
	_, stop := run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		close(begun)
		<-finish
		handled.add(d.Callback.TaskID)
		return nil
	}})
	publish(t, b, "wav", failedWAV(1), time.Now())
	<-begun
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(finish)
	<-stopped
	handled.onceEach(t, 1)
	if n := unsettled(t, b, "wav"); n != 0 {
		t.Errorf("%d messages not settled", n)
	}
}

func TestShutdownHandsBackWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	begun := make(chan struct{})
	_, stop := run(t, consume.Options{
		Broker: b, Contract: contract(t, "wav"), Drain: time.Millisecond,
		Handler: func(ctx context.Context, _ consume.Delivery) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		},
	})
	publish(t, b, "wav", failedWAV(1), time.Now())
	<-begun
	stop()
	handled := newTally()
	run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		handled.add(d.Callback.TaskID)
		return nil
	}})
	eventually.Await(t, "another runner gets the message", func() bool { return handled.tasks() == 1 })
}

func TestRestartOfEverythingBetweenPublishAndConsume(t *testing.T) {
	t.Parallel()
	const tasks = 50
	dir := t.TempDir()
	server := natstest.Start(t, dir, "")
	b := natstest.Provisioned(t, server)
	for i := range tasks {
		publish(t, b, "wav", failedWAV(i), time.Now())
	}
	b.Close()
	server.Stop()

	b = natstest.Provisioned(t, natstest.Start(t, dir, ""))
	handled := newTally()
	run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		handled.add(d.Callback.TaskID)
		return nil
	}})
	eventually.Await(t, "everything settled", func() bool { return handled.tasks() == tasks && unsettled(t, b, "wav") == 0 })
	handled.onceEach(t, tasks)
}

func TestRetryComesAgainUntilItSucceeds(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	handled, done := newTally(), make(chan struct{})
	run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		if handled.add(d.Callback.TaskID) == 1 {
			return errors.New("not yet")
		}
		close(done) // a third time would panic
		return nil
	}})
	publish(t, b, "wav", failedWAV(1), time.Now())
	<-done
	eventually.Await(t, "settled", func() bool { return unsettled(t, b, "wav") == 0 })
}

func TestPanicCostsItsOwnDeliveryOnly(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	handled := newTally()
	run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Workers: 1, Handler: func(_ context.Context, d consume.Delivery) error {
		if handled.add(d.Callback.TaskID) == 1 && d.Callback.TaskID == "task-1" {
			panic("lost my mind")
		}
		return nil
	}})
	publish(t, b, "wav", failedWAV(1), time.Now())
	publish(t, b, "wav", failedWAV(2), time.Now())
	eventually.Await(t, "both handled and settled", func() bool { return handled.tasks() == 2 && unsettled(t, b, "wav") == 0 })
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		err    error
		giveUp time.Duration
		reason string
	}{
		{"permanent", consume.Permanent(errors.New("never\r\nagain")), 0, "permanent"},
		{"given up", errors.New("not yet"), time.Nanosecond, "gave_up"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := natstest.Broker(t)
			var last bool
			run(t, consume.Options{
				Broker: b, Contract: contract(t, "wav"), GiveUp: test.giveUp,
				Handler: func(_ context.Context, d consume.Delivery) error {
					last = d.Last
					return test.err
				},
			})
			cb := publish(t, b, "wav", failedWAV(1), time.Now())
			letter := deadLetters(t, b, 1)[0]
			eventually.Await(t, "settled", func() bool { return unsettled(t, b, "wav") == 0 })
			if letter.Subject != "dead-letters.wav" || !bytes.Equal(letter.Body, cb.Body) {
				t.Errorf("%s holds %s", letter.Subject, letter.Body)
			}
			for name, want := range map[string]string{
				"Fanfare-Reason":     test.reason,
				"Fanfare-Deliveries": "1",
				"Fanfare-Subject":    "callbacks.wav.error",
				"ce-id":              cb.MessageID(),
				"Nats-Msg-Id":        "CALLBACKS/wav/1",
			} {
				if letter.Header[name] != want {
					t.Errorf("header %s is %q, want %q", name, letter.Header[name], want)
				}
			}
			if said := letter.Header["Fanfare-Last-Error"]; said == "" || strings.ContainsAny(said, "\r\n") {
				t.Errorf("last error is %q", said)
			}
			if last != (test.reason == "gave_up") {
				t.Errorf("the handler was told that this is the last delivery: %v", last)
			}
		})
	}
}

func TestBodyThatIsNoCallbackIsADeadLetterUnseen(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	seen := newTally()
	run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		seen.add(d.Callback.TaskID)
		return nil
	}})
	cb := callback.Callback{Type: "wav", TaskID: "t", Stage: callback.Complete, Code: 200, Received: time.Now(), Body: []byte("{}")}
	if _, err := b.Publish(t.Context(), cb); err != nil {
		t.Fatal(err)
	}
	if letter := deadLetters(t, b, 1)[0]; letter.Header["Fanfare-Reason"] != "invalid" {
		t.Errorf("reason %q", letter.Header["Fanfare-Reason"])
	}
	if seen.tasks() != 0 {
		t.Error("the handler saw it")
	}
}

func TestRunnerWaitsForItsDurable(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Connect(t, server)
	handled := newTally()
	r, _ := run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		handled.add(d.Callback.TaskID)
		return nil
	}})
	if err := r.Check(t.Context()); err == nil {
		t.Error("ready without a durable")
	}
	publish(t, natstest.Provisioned(t, server), "wav", failedWAV(1), time.Now())
	eventually.Await(t, "handled", func() bool { return handled.tasks() == 1 })
	if err := r.Check(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// TestADurableThatIsDeletedIsCreatedAgain deletes it under a running runner.
func TestADurableThatIsDeletedIsCreatedAgain(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	handled := newTally()
	r, _ := run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		handled.add(d.Callback.TaskID)
		return nil
	}})
	publish(t, b, "wav", failedWAV(1), time.Now())
	eventually.Await(t, "the first handled", func() bool { return handled.tasks() == 1 })
	if err := natstest.JetStream(t, server).DeleteConsumer(t.Context(), "CALLBACKS", "wav"); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "wav", failedWAV(2), time.Now())
	eventually.Await(t, "the second handled", func() bool { return handled.tasks() == 2 })
	eventually.Await(t, "ready", func() bool { return r.Check(t.Context()) == nil })
}

// Whoever asks whether the runner is ready need not wait until its workers have looked
// for a durable that is not there, each with a pause before.
func TestReadinessDoesNotWaitForTheDurable(t *testing.T) {
	t.Parallel()
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), InProcess: natstest.Start(t, t.TempDir(), "")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	r, _ := run(t, consume.Options{
		Broker: b, Contract: contract(t, "wav"), Workers: 64,
		Handler: func(context.Context, consume.Delivery) error { return nil },
	})
	answered := make(chan error, 1)
	for range 20 {
		go func() { answered <- r.Check(t.Context()) }()
		select {
		case err := <-answered:
			if err == nil || !strings.Contains(err.Error(), "was not found yet") {
				t.Errorf("it is %v", err)
			}
		case <-time.After(patience):
			t.Fatal("no answer")
		}
		<-time.After(20 * time.Millisecond) // so that some come amid a look
	}
}

// TestFailingTasksDoNotHoldUpFreshOnes has thousands of tasks whose second
// delivery would keep every worker busy for minutes.
func TestFailingTasksDoNotHoldUpFreshOnes(t *testing.T) {
	t.Parallel()
	const failing, fresh = 3000, 20
	b := natstest.Broker(t)
	failed, handled := newTally(), newTally()
	run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		if d.Callback.Code == 500 {
			if failed.add(d.Callback.TaskID) > 1 {
				<-time.After(time.Second)
			}
			return errors.New("not yet")
		}
		handled.add(d.Callback.TaskID)
		return nil
	}})
	for i := range failing {
		publish(t, b, "wav", failedWAV(i), time.Now())
	}
	eventually.Await(t, "all have failed", func() bool { return failed.tasks() == failing })
	for i := range fresh {
		publish(t, b, "wav", strings.Replace(failedWAV(i), "500", "501", 1), time.Now())
	}
	eventually.Await(t, "the fresh ones handled", func() bool { return handled.tasks() == fresh })
}
