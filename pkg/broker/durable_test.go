package broker_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

func durable(tb testing.TB, b *broker.Broker, t callback.Type) *broker.Durable {
	tb.Helper()
	d, _, err := b.OwnDurable(t).Open(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// next waits for a delivery.
func next(tb testing.TB, d *broker.Durable) *broker.Delivery {
	tb.Helper()
	delivery, err := d.Next(patience)
	if err != nil {
		tb.Fatal(err)
	}
	if delivery == nil {
		tb.Fatal("nothing came")
	}
	return delivery
}

// nothing checks that no delivery comes for a while.
func nothing(tb testing.TB, d *broker.Durable, wait time.Duration) {
	tb.Helper()
	begun := time.Now()
	delivery, err := d.Next(wait)
	switch {
	case err != nil:
		tb.Errorf("next: %v", err)
	case delivery != nil:
		tb.Errorf("delivery %d of %s came", delivery.Number, delivery.MessageID)
	case time.Since(begun) < wait/2:
		tb.Errorf("gave up after %s of %s", time.Since(begun), wait)
	}
}

// shortAckWait lets the durable wav deliver again what it hears nothing of.
func shortAckWait(tb testing.TB, js jetstream.JetStream, wait time.Duration) {
	tb.Helper()
	config := durableConfig(tb, js, "wav")
	config.AckWait = wait
	if _, err := js.UpdateConsumer(tb.Context(), "CALLBACKS", config); err != nil {
		tb.Fatal(err)
	}
}

func TestDeliveryIsTheCallback(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	cb := wav("a*b.c:d")
	publish(t, b, cb)
	d := next(t, durable(t, b, "wav"))
	if !bytes.Equal(d.Body, cb.Body) || d.MessageID != cb.MessageID() || !d.Received.Equal(cb.Received) || d.Number != 1 {
		t.Errorf("delivery %+v of %+v", d, cb)
	}
	if d.Received.Location() != time.UTC {
		t.Errorf("received in %s", d.Received.Location())
	}
}

func TestNothingComesFromAnEmptyDurable(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	music := wav("t")
	music.Type = "music"
	publish(t, b, music)
	nothing(t, durable(t, b, "wav"), moment)
}

func TestMessageThatComesWhileWaitingIsDelivered(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d := durable(t, b, "wav")
	came := make(chan *broker.Delivery, 1)
	go func() {
		delivery, err := d.Next(patience)
		if err != nil {
			t.Error(err)
		}
		came <- delivery
	}()
	publish(t, b, wav("t"))
	if delivery := <-came; delivery == nil || delivery.MessageID != "wav/t/error/500" {
		t.Errorf("delivery %+v", delivery)
	}
}

// What one process has not asked for, another may have.
func TestNextTakesOnlyOne(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	for _, id := range []string{"a", "b"} {
		publish(t, b, wav(id))
	}
	first, second := durable(t, b, "wav"), durable(t, b, "wav")
	if d := next(t, first); d.MessageID != wav("a").MessageID() {
		t.Errorf("the first is %s", d.MessageID)
	}
	if d := next(t, second); d.MessageID != wav("b").MessageID() {
		t.Errorf("the second is %s", d.MessageID)
	}
}

func TestDurableWithoutAStream(t *testing.T) {
	t.Parallel()
	b := natstest.Connect(t, natstest.Start(t, t.TempDir(), ""))
	if _, _, err := b.OwnDurable("wav").Open(t.Context()); !errors.Is(err, broker.ErrNoDurable) {
		t.Errorf("%v is no ErrNoDurable", err)
	}
}

func TestDurableThatIsMissingIsCreated(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	provisioned, err := js.Consumer(t.Context(), "CALLBACKS", "wav")
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteConsumer(t.Context(), "CALLBACKS", "wav"); err != nil {
		t.Fatal(err)
	}
	publish(t, b, wav("t"))
	for _, want := range []bool{true, false} {
		d, created, err := b.OwnDurable("wav").Open(t.Context())
		if err != nil || created != want {
			t.Fatalf("created %v, %v, want %v", created, err, want)
		}
		if want && next(t, d).MessageID != wav("t").MessageID() {
			t.Error("it does not deliver what the stream holds")
		}
	}
	anew, err := js.Consumer(t.Context(), "CALLBACKS", "wav")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(anew.CachedInfo().Config, provisioned.CachedInfo().Config) {
		t.Errorf("created as %+v, provisioned as %+v", anew.CachedInfo().Config, provisioned.CachedInfo().Config)
	}
}

func TestOwnDurableThatIsLostGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	own := b.OwnDurable("wav")
	d, _, err := own.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, wav("settled"))
	if err := next(t, d).Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := own.Remember(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, b, wav("new"))
	eventually.Await(t, "created anew", func() bool {
		if err := js.DeleteConsumer(t.Context(), "CALLBACKS", "wav"); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Fatal(err)
		}
		var created bool
		d, created, err = own.Open(t.Context())
		return err == nil && created
	})
	if got := next(t, d); got.MessageID != wav("new").MessageID() {
		t.Errorf("%s comes again", got.MessageID)
	}
}

// What an operator set is for Provision to report, and for the operator to keep.
func TestOwnDurableThatDiffersIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	consumer, err := js.Consumer(t.Context(), "CALLBACKS", "wav")
	if err != nil {
		t.Fatal(err)
	}
	config := consumer.CachedInfo().Config
	config.AckWait = 5 * time.Minute
	if _, err := js.UpdateConsumer(t.Context(), "CALLBACKS", config); err != nil {
		t.Fatal(err)
	}
	own := b.OwnDurable("wav")
	if _, created, err := own.Open(t.Context()); err != nil || created {
		t.Errorf("created %v, %v", created, err)
	}
	if got := own.AckWait(); got != config.AckWait {
		t.Errorf("its ack wait is %s, want %s", got, config.AckWait)
	}
}

func TestServerThatSaysNothingIsNoEmptyDurable(t *testing.T) {
	t.Parallel()
	way := newLossy(natstest.Start(t, t.TempDir(), ""))
	d := durable(t, natstest.Provisioned(t, way), "wav")
	if _, err := d.Next(moment); err != nil {
		t.Errorf("nothing came: %v", err)
	}
	way.hang(t)
	if _, err := d.Next(moment); !errors.Is(err, broker.ErrSilent) {
		t.Errorf("%v is no ErrSilent", err)
	}
}

func TestDurableThatIsDeletedWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(js jetstream.JetStream) error{
		"durable": func(js jetstream.JetStream) error { return js.DeleteConsumer(t.Context(), "CALLBACKS", "wav") },
		"stream":  func(js jetstream.JetStream) error { return js.DeleteStream(t.Context(), "CALLBACKS") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, js := provisioned(t)
			d := durable(t, b, "wav")
			failed := make(chan error, 1)
			go func() {
				_, err := d.Next(patience)
				failed <- err
			}()
			eventually.Await(t, "waiting", func() bool {
				consumer, err := js.Consumer(t.Context(), "CALLBACKS", "wav")
				return err == nil && consumer.CachedInfo().NumWaiting == 1
			})
			if err := remove(js); err != nil {
				t.Fatal(err)
			}
			if err := <-failed; !errors.Is(err, broker.ErrNoDurable) {
				t.Errorf("while waiting: %v is no ErrNoDurable", err)
			}
			if _, err := d.Next(patience); !errors.Is(err, broker.ErrNoDurable) {
				t.Errorf("afterwards: %v is no ErrNoDurable", err)
			}
		})
	}
}

func TestServerThatIsGoneIsAnotherErrorThanNoDurable(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	d := durable(t, b, "wav")
	server.Stop()
	eventually.Await(t, "disconnected", func() bool { return !b.Connected() })
	begun := time.Now()
	delivery, err := d.Next(moment)
	if !errors.Is(err, broker.ErrUnavailable) || errors.Is(err, broker.ErrNoDurable) || delivery != nil {
		t.Errorf("delivery %v, %v, want ErrUnavailable", delivery, err)
	}
	if took := time.Since(begun); took > patience/3 {
		t.Errorf("took %s", took)
	}
	if _, _, err := b.OwnDurable("wav").Open(within(t, moment)); err == nil || errors.Is(err, broker.ErrNoDurable) {
		t.Errorf("looking it up: %v", err)
	}
}

func TestReceivedIsWhatTheHeaderSaysElseWhenItWasStored(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	d := durable(t, b, "wav")
	for i, row := range []struct {
		header []string // of ce-time
		want   string   // "": when it was stored
	}{
		{[]string{"2026-07-01T12:30:15.123456789Z"}, "2026-07-01T12:30:15.123456789Z"},
		{[]string{"2026-07-01T12:30:15+02:00"}, "2026-07-01T10:30:15Z"},
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"yesterday"}, ""},
		{[]string{"2026-07-01 12:30:15"}, ""},
		{[]string{"1751373015"}, ""},
	} {
		msg := nats.NewMsg("callbacks.wav.error")
		if row.header != nil {
			msg.Header["ce-time"] = row.header
		}
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		want := message(t, js, "CALLBACKS", uint64(i)+1).Time
		if row.want != "" {
			var err error
			if want, err = time.Parse(time.RFC3339Nano, row.want); err != nil {
				t.Fatal(err)
			}
		}
		if got := next(t, d).Received; !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("ce-time %q: received %s, want %s", row.header, got, want)
		}
	}
}
