package subscribe_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/subscribe"
)

func TestShutdownFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	var got seen[callback.TaskID]
	s := callbacks(t, subscribe.Options{Broker: b}, "wav", func(ctx context.Context, cb callback.Callback) error {
		close(begun)
		<-finish
		if err := ctx.Err(); err != nil {
			t.Errorf("the handler's time is over: %v", err)
		}
		return tasks(&got)(ctx, cb)
	})
	publish(t, b, "wav", failed(1))
	<-begun
	go close(finish)
	s.stop()
	got.onceEach(t, 1)
	if i := info(t, js, "CALLBACKS", "billing_wav"); i.NumAckPending != 0 || i.AckFloor.Stream != 1 {
		t.Errorf("%d messages not settled", i.NumAckPending)
	}
	if err := s.ended(t); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestShutdownHandsBackWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	begun := make(chan struct{})
	s := callbacks(t, subscribe.Options{Broker: b, Drain: time.Millisecond}, "wav", func(ctx context.Context, _ callback.Callback) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	publish(t, b, "wav", failed(1))
	<-begun
	s.stop()
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b}, "wav", tasks(&got))
	eventually.Await(t, "another copy gets it", func() bool { return got.different() == 1 })
	settled(t, js, "CALLBACKS", "billing_wav")
}

func TestShutdownAcksWhatFinishesLate(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	begun := make(chan struct{})
	s := callbacks(t, subscribe.Options{Broker: b, Drain: time.Millisecond}, "wav", func(ctx context.Context, _ callback.Callback) error {
		close(begun)
		<-ctx.Done()
		return nil // done all the same
	})
	publish(t, b, "wav", failed(1))
	<-begun
	s.stop()
	if i := info(t, js, "CALLBACKS", "billing_wav"); i.NumAckPending != 0 {
		t.Errorf("%d messages not settled", i.NumAckPending)
	}
}

func TestEndedContextSubscribesToNothing(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	s, err := subscribe.New(subscribe.Options{Logger: natstest.Logger(t), Broker: b, Name: "billing"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Callbacks(ctx, "wav", tasks(new(seen[callback.TaskID]))); err != nil {
		t.Error(err)
	}
	if exists(t, js, "CALLBACKS", "billing_wav") {
		t.Error("a durable was created")
	}
}

// Nothing is lost when the server restarts, whatever the subscriber was doing.
func TestServerThatComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := natstest.Start(t, dir, "127.0.0.1:0")
	addr := server.Addr().String()
	natstest.Provisioned(t, server)
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), URL: "nats://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	begun, release := make(chan struct{}, 1), make(chan struct{})
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b}, "wav", func(ctx context.Context, cb callback.Callback) error {
		if cb.TaskID == "task-slow" {
			begun <- struct{}{}
			<-release
		}
		return tasks(&got)(ctx, cb)
	})
	var states seen[string]
	results(t, subscribe.Options{Broker: b}, "wav", onResultSeen(&states))
	publish(t, b, "wav", failed("before"))
	publish(t, b, "wav", failed("slow"))
	state(t, b, "wav", "a", 1)
	<-begun
	eventually.Await(t, "the first seen", func() bool { return got.different() == 1 && states.different() == 1 })

	server.Stop()
	eventually.Await(t, "disconnected", func() bool { return !b.Connected() })
	close(release) // it can be acked only once the server is back
	again := natstest.Start(t, dir, addr)
	eventually.Await(t, "connected", b.Connected)
	publish(t, b, "wav", failed("after"))
	state(t, b, "wav", "a", 2)
	eventually.Await(t, "everything seen", func() bool { return got.different() == 3 && states.different() == 2 })
	js := natstest.JetStream(t, again)
	settled(t, js, "CALLBACKS", "billing_wav")
	settled(t, js, "KV_RESULTS", "billing_wav")
	got.onceEach(t, 3)
	ascending(t, states.get(), 1, 2)
}

func TestServiceThatIsEarlierThanItsServerAndStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := natstest.Start(t, dir, "127.0.0.1:0") // for a free port
	addr := server.Addr().String()
	server.Stop()
	log, text := logger()
	b, err := broker.Connect(broker.Options{Logger: log, URL: "nats://" + addr, Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, Logger: log, FromNow: true}, "wav", tasks(&got))
	eventually.Await(t, "no server is noticed", func() bool { return strings.Contains(text.String(), "cannot fetch") })
	server = natstest.Start(t, dir, addr)
	eventually.Await(t, "connected", b.Connected)
	<-time.After(moment)
	provisioned := natstest.Provisioned(t, server)
	eventually.Await(t, "a durable", func() bool { return exists(t, natstest.JetStream(t, server), "CALLBACKS", "billing_wav") })
	publish(t, provisioned, "wav", failed(1))
	eventually.Await(t, "seen", func() bool { return got.different() == 1 })
	if !strings.Contains(text.String(), "fetching again") {
		t.Errorf("logged:\n%s", text)
	}
}

func TestLostDurableIsCreatedAnewWhereItWas(t *testing.T) {
	t.Parallel()
	for _, fromNow := range []bool{false, true} {
		t.Run(fmt.Sprintf("from now %v", fromNow), func(t *testing.T) {
			t.Parallel()
			b, js := provisioned(t)
			publish(t, b, "wav", failed("old"))
			var got seen[callback.TaskID]
			o := subscribe.Options{Broker: b, FromNow: fromNow}
			if !fromNow { // settle it, and begin again behind it
				s := callbacks(t, o, "wav", tasks(&got))
				eventually.Await(t, "the old one seen", func() bool { return got.different() == 1 })
				s.stop()
			}
			callbacks(t, o, "wav", tasks(&got))
			waiting(t, js, "CALLBACKS", "billing_wav", 8)
			if err := js.DeleteConsumer(t.Context(), "CALLBACKS", "billing_wav"); err != nil {
				t.Fatal(err)
			}
			publish(t, b, "wav", failed("new")) // while there is none, or hardly
			eventually.Await(t, "the new one seen", func() bool { return got.count("task-new") == 1 })
			settled(t, js, "CALLBACKS", "billing_wav")
			if n := got.count("task-old"); fromNow && n != 0 || !fromNow && n != 1 {
				t.Errorf("seen: %v", got.get())
			}
		})
	}
}

func TestLostDurableBringsLittleAgain(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	var got seen[callback.TaskID]
	callbacks(t, subscribe.Options{Broker: b, AckWait: moment}, "wav", tasks(&got))
	for i := range 5 {
		publish(t, b, "wav", failed(i))
	}
	eventually.Await(t, "everything seen", func() bool { return got.different() == 5 })
	settled(t, js, "CALLBACKS", "billing_wav")
	<-time.After(5 * moment) // that it may be remembered
	if err := js.DeleteConsumer(t.Context(), "CALLBACKS", "billing_wav"); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "wav", failed("new"))
	eventually.Await(t, "the new one seen", func() bool { return got.count("task-new") == 1 })
	got.onceEach(t, 6)
}

func TestLostStreamIsWaitedForAndReadFromItsStart(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b, js := natstest.Provisioned(t, server), natstest.JetStream(t, server)
	var got seen[callback.TaskID]
	for i := range 5 {
		publish(t, b, "wav", failed(i))
	}
	callbacks(t, subscribe.Options{Broker: b, FromNow: true}, "wav", tasks(&got))
	waiting(t, js, "CALLBACKS", "billing_wav", 8)
	if err := js.DeleteStream(t.Context(), "CALLBACKS"); err != nil {
		t.Fatal(err)
	}
	publish(t, natstest.Provisioned(t, server), "wav", failed("new"))
	eventually.Await(t, "the new one seen", func() bool { return got.count("task-new") == 1 })
	got.onceEach(t, 1)
}

func TestDurableThatComesBackDifferentEndsTheSubscription(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	s := callbacks(t, subscribe.Options{Broker: b}, "wav", tasks(new(seen[callback.TaskID])))
	waiting(t, js, "CALLBACKS", "billing_wav", 8)
	config := info(t, js, "CALLBACKS", "billing_wav").Config
	config.MaxDeliver = 3
	eventually.Await(t, "the test is faster than the subscriber", func() bool {
		if err := js.DeleteConsumer(t.Context(), "CALLBACKS", "billing_wav"); err != nil {
			t.Fatal(err)
		}
		_, err := js.CreateConsumer(t.Context(), "CALLBACKS", config)
		return err == nil
	})
	if err := s.ended(t); !errors.Is(err, broker.ErrDiffers) || !strings.Contains(err.Error(), "max_deliver is 3, not -1") {
		t.Errorf("it ended with %v", err)
	}
}

func TestFromNowBeginsWithWhatComesNext(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, "wav", failed("old"))
	state(t, b, "wav", "old", 1)
	var got seen[callback.TaskID]
	var states seen[string]
	callbacks(t, subscribe.Options{Broker: b, FromNow: true}, "wav", tasks(&got))
	results(t, subscribe.Options{Broker: b, FromNow: true}, "wav", onResultSeen(&states))
	eventually.Await(t, "the durables", func() bool {
		return exists(t, js, "CALLBACKS", "billing_wav") && exists(t, js, "KV_RESULTS", "billing_wav")
	})
	publish(t, b, "wav", failed("new"))
	state(t, b, "wav", "new", 1)
	eventually.Await(t, "the new ones seen", func() bool { return got.count("task-new") == 1 && states.count("new 1") == 1 })
	got.onceEach(t, 1)
	states.onceEach(t, 1)
}

// Where a durable began is its past: another wish later changes nothing.
func TestFromNowLaterChangesNothing(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	var got seen[callback.TaskID]
	publish(t, b, "wav", failed(1))
	s := callbacks(t, subscribe.Options{Broker: b}, "wav", tasks(&got))
	eventually.Await(t, "seen", func() bool { return got.different() == 1 })
	s.stop()
	publish(t, b, "wav", failed(2)) // while the service is away
	callbacks(t, subscribe.Options{Broker: b, FromNow: true}, "wav", tasks(&got))
	eventually.Await(t, "both seen", func() bool { return got.different() == 2 })
	settled(t, js, "CALLBACKS", "billing_wav")
	got.onceEach(t, 2)
}

func TestNames(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	for name, ok := range map[string]bool{
		"billing": true, "Billing_2-eu": true, strings.Repeat("b", 64): true, "musical": true,
		"": false, strings.Repeat("b", 65): false, "music": false, "wav": false, "video": false, "cover": false,
		"a.b": false, "a b": false, "*": false, ">": false, "a/b": false, `a\b`: false, "ä": false, "a\n": false, "a=2E": false, "..": false,
	} {
		_, err := subscribe.New(subscribe.Options{Logger: natstest.Logger(t), Broker: b, Name: name})
		if (err == nil) != ok {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	whole := subscribe.Options{Logger: natstest.Logger(t), Broker: b, Name: "billing"}
	for want, change := range map[string]func(*subscribe.Options){
		"Logger":  func(o *subscribe.Options) { o.Logger = nil },
		"Broker":  func(o *subscribe.Options) { o.Broker = nil },
		"Name":    func(o *subscribe.Options) { o.Name = "" },
		"workers": func(o *subscribe.Options) { o.Workers = 257 },
		"-1 work": func(o *subscribe.Options) { o.Workers = -1 },
		"1ms":     func(o *subscribe.Options) { o.AckWait = time.Millisecond },
		"-1s":     func(o *subscribe.Options) { o.Drain = -time.Second },
	} {
		o := whole
		change(&o)
		if _, err := subscribe.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestMissingHandlerIsRefused(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for _, err := range []error{
		callbacks(t, subscribe.Options{Broker: b}, "wav", nil).ended(t),
		results(t, subscribe.Options{Broker: b}, "wav", nil).ended(t),
	} {
		if err == nil || !strings.Contains(err.Error(), "handle is missing") {
			t.Error(err)
		}
	}
	if exists(t, js, "CALLBACKS", "billing_wav") || exists(t, js, "KV_RESULTS", "billing_wav") {
		t.Error("a durable was created")
	}
}

func TestUnknownTypeIsRefused(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for _, typ := range []callback.Type{"", "lyrics", "wav.>", "*"} {
		for _, err := range []error{
			callbacks(t, subscribe.Options{Broker: b}, typ, nil).ended(t),
			results(t, subscribe.Options{Broker: b}, typ, nil).ended(t),
		} {
			if err == nil || !strings.Contains(err.Error(), "cover music video wav") {
				t.Errorf("type %q: %v", typ, err)
			}
		}
	}
	stream, err := js.Stream(t.Context(), "CALLBACKS")
	if err != nil || stream.CachedInfo().State.Consumers != 4 {
		t.Errorf("%d durables, %v", stream.CachedInfo().State.Consumers, err)
	}
}

func TestDurableOfOtherSettingsIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	s := callbacks(t, subscribe.Options{Broker: b}, "wav", tasks(new(seen[callback.TaskID])))
	eventually.Await(t, "a durable", func() bool { return exists(t, js, "CALLBACKS", "billing_wav") })
	s.stop()
	err := callbacks(t, subscribe.Options{Broker: b, AckWait: time.Second}, "wav", tasks(new(seen[callback.TaskID]))).ended(t)
	if !errors.Is(err, broker.ErrDiffers) || !strings.Contains(err.Error(), "billing_wav on stream CALLBACKS: ack_wait is 1m0s, not 1s") {
		t.Errorf("it ended with %v", err)
	}
	if is := info(t, js, "CALLBACKS", "billing_wav").Config.AckWait; is != time.Minute {
		t.Errorf("ack wait became %s", is)
	}
}
