package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drain is longer than what is in hand may take.
const drain = 2 * time.Minute

func publish(tb testing.TB, b *broker.Broker, id callback.TaskID) {
	tb.Helper()
	if _, err := b.Publish(tb.Context(), callback.Callback{
		Type: "wav", TaskID: id, Stage: callback.Error, Code: 500, Received: time.Now(), Body: []byte("{}"),
	}); err != nil {
		tb.Fatal(err)
	}
}

// run starts a loop, which ends with the test.
func run(tb testing.TB, o deliver.Options) *deliver.Loop {
	tb.Helper()
	o.Logger = natstest.Logger(tb)
	o.Drain = drain
	l := deliver.New(o)
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("the loop ended with %v", err)
		}
	})
	return l
}

func settled(tb testing.TB, js jetstream.JetStream) {
	tb.Helper()
	eventually.Await(tb, "everything is settled", func() bool {
		consumer, err := js.Consumer(tb.Context(), "CALLBACKS", "wav")
		return err == nil && consumer.CachedInfo().NumPending == 0 && consumer.CachedInfo().NumAckPending == 0
	})
}

// A server that crashes forgets the deliveries that it has not written yet: it never
// answers their acks, and delivers their messages again: with one worker, after that
// has given its ack up; with two, into the hands of the other.
func TestWhatTheServerForgotIsNotHandledTwice(t *testing.T) {
	t.Parallel()
	for workers, want := range map[int]error{1: deliver.ErrForgotten, 2: nil} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			t.Parallel()
			forget(t, workers, want)
		})
	}
}

func forget(t *testing.T, workers int, want error) {
	t.Helper()
	dir := t.TempDir()
	running, before := filepath.Join(dir, "running"), filepath.Join(dir, "before")
	server := natstest.Start(t, running, "127.0.0.1:0")
	addr := server.Addr().String()
	publish(t, natstest.Provisioned(t, server), "t")
	server.Stop() // and with that everything is written
	if err := os.CopyFS(before, os.DirFS(running)); err != nil {
		t.Fatal(err)
	}
	server = natstest.Start(t, running, addr)
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), URL: "nats://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)

	begun, crashed := make(chan struct{}), make(chan struct{})
	acked := make(chan error, 1)
	var handled atomic.Int32
	var l *deliver.Loop
	ready := make(chan struct{})
	l = run(t, deliver.Options{
		Subscription: b.OwnDurable("wav"),
		Workers:      workers,
		Deliver: func(ctx context.Context, d *broker.Delivery, done func()) {
			defer done()
			if handled.Add(1) > 1 {
				return
			}
			<-ready
			close(begun)
			<-crashed
			acked <- l.Ack(context.WithoutCancel(ctx), d)
		},
	})
	close(ready)
	<-begun
	server.Stop()
	if err := os.RemoveAll(running); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(before, running); err != nil {
		t.Fatal(err)
	}
	server = natstest.Start(t, running, addr)
	eventually.Await(t, "connected", b.Connected)
	close(crashed)
	if err := <-acked; !errors.Is(err, want) {
		t.Errorf("acked with %v, want %v", err, want)
	}
	settled(t, natstest.JetStream(t, server))
	if n := handled.Load(); n != 1 {
		t.Errorf("handled %d times", n)
	}
}

// What is done after the return of Deliver is in hand until then.
func TestWhatIsNotDoneIsInHand(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b, js := natstest.Provisioned(t, server), natstest.JetStream(t, server)
	consumer, err := js.Consumer(t.Context(), "CALLBACKS", "wav")
	if err != nil {
		t.Fatal(err)
	}
	config := consumer.CachedInfo().Config
	config.AckWait = 300 * time.Millisecond
	if _, err := js.UpdateConsumer(t.Context(), "CALLBACKS", config); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "slow")
	type hand struct {
		d    *broker.Delivery
		done func()
	}
	slow, other := make(chan hand, 8), make(chan struct{}, 8)
	var l *deliver.Loop
	ready := make(chan struct{})
	l = run(t, deliver.Options{
		Subscription: b.OwnDurable("wav"),
		Workers:      1,
		Deliver: func(ctx context.Context, d *broker.Delivery, done func()) {
			<-ready
			if d.Sequence == 1 {
				slow <- hand{d, done}
				return
			}
			defer done()
			other <- struct{}{}
			if err := l.Ack(ctx, d); err != nil {
				t.Error(err)
			}
		},
	})
	close(ready)
	first := <-slow
	<-time.After(3 * config.AckWait) // without a sign of life it would come again, three times
	publish(t, b, "other")
	<-other // the only worker is free
	if n := len(slow); n != 0 {
		t.Errorf("it came %d times more", n)
	}
	if err := l.Ack(t.Context(), first.d); err != nil {
		t.Error(err)
	}
	first.done()
	settled(t, js)
	if got, err := js.Consumer(t.Context(), "CALLBACKS", "wav"); err != nil || got.CachedInfo().Delivered.Consumer != 2 {
		t.Errorf("%v, %d deliveries, want 2", err, got.CachedInfo().Delivered.Consumer)
	}
}

// The loop ends when everything is done, and gives signs of life until then.
func TestWhatIsNotDoneHoldsUpTheEnd(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	publish(t, b, "t")
	hands, stopped := make(chan func(), 1), make(chan struct{})
	l := deliver.New(deliver.Options{
		Logger: natstest.Logger(t), Subscription: b.OwnDurable("wav"), Workers: 1, Drain: drain,
		Deliver: func(_ context.Context, _ *broker.Delivery, done func()) { hands <- done },
		Stop:    func() { close(stopped) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	done := <-hands
	cancel()
	<-stopped
	select {
	case err := <-ended:
		t.Fatalf("it ended with %v while something was in hand", err)
	case <-time.After(5 * time.Second): // longer than a fetch that has begun
	}
	done()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
