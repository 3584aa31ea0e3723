package broker_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

func redeliver(tb testing.TB, b *broker.Broker, sequence uint64) broker.DeadLetter {
	tb.Helper()
	letter, err := b.Redeliver(within(tb, patience), sequence)
	if err != nil {
		tb.Fatal(err)
	}
	return letter
}

func TestRedeliveryIsTheOriginalOnAnotherSubject(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	cb := wav("t")
	publish(t, b, cb)
	original := message(t, js, "CALLBACKS", 1)
	d := durable(t, b, "wav")
	die(t, d)
	if letter := redeliver(t, b, 1); letter.TaskID != "t" || letter.Sequence != 1 {
		t.Errorf("redelivered %+v", letter)
	}
	again := message(t, js, "CALLBACKS", 2)
	if again.Subject != "redeliver.wav.error" || !bytes.Equal(again.Data, cb.Body) {
		t.Errorf("%s holds %s", again.Subject, again.Data)
	}
	want := original.Header
	want["Nats-Msg-Id"] = []string{"redeliver/1"}
	if len(again.Header) != len(want) {
		t.Errorf("headers %v, want %v", again.Header, want)
	}
	for name := range want {
		if !slices.Equal(again.Header[name], want[name]) {
			t.Errorf("header %s is %q, want %q", name, again.Header[name], want[name])
		}
	}
	if n := messages(t, js, "DEAD_LETTERS"); n != 0 {
		t.Errorf("%d dead letters are left", n)
	}
	delivery := next(t, d)
	if delivery.MessageID != cb.MessageID() || !delivery.Received.Equal(cb.Received) || delivery.Number != 1 || !bytes.Equal(delivery.Body, cb.Body) {
		t.Errorf("delivery %+v of %+v", delivery, cb)
	}
	if err := delivery.Ack(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRedeliveryHasEveryHeaderOfTheOriginal(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	msg := nats.NewMsg("callbacks.wav.error")
	msg.Header = nats.Header{"traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "tracestate": {"a=1", "b=2"}}
	if _, err := js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	die(t, durable(t, b, "wav"))
	redeliver(t, b, 1)
	again := message(t, js, "CALLBACKS", 2)
	for name, want := range msg.Header {
		if got := again.Header[name]; !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name := range again.Header {
		if strings.HasPrefix(name, "Fanfare-") {
			t.Errorf("%s is told", name)
		}
	}
}

// Other services subscribe to callbacks.>, and have had the callback already.
func TestOthersNeverSeeARedelivery(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	consumer, err := js.CreateConsumer(t.Context(), "CALLBACKS", jetstream.ConsumerConfig{
		Durable: "billing", FilterSubject: "callbacks.>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	dead(t, b, "a")
	redeliver(t, b, 1)
	dead(t, b, "b") // of which the durable wav's next delivery is the redelivery of a
	publish(t, b, wav("last"))
	var seen []string
	for range 3 {
		msg, err := consumer.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, msg.Headers().Get("ce-subject"))
	}
	if want := []string{"a", "b", "last"}; !slices.Equal(seen, want) {
		t.Errorf("sees %v, want %v", seen, want)
	}
	if info, err := consumer.Info(t.Context()); err != nil || info.NumPending != 0 {
		t.Errorf("%d more come, %v", info.NumPending, err)
	}
}

// watched is the way to a server on which something happens once, before a request
// is sent.
type watched struct {
	nats.InProcessConnProvider
	before string      // what the request contains
	happen func() bool // reports whether the way ends for good, as if the process had been killed
	once   sync.Once
	ended  atomic.Bool
}

// InProcessConn implements [nats.InProcessConnProvider].
func (w *watched) InProcessConn() (net.Conn, error) {
	if w.ended.Load() {
		return nil, net.ErrClosed
	}
	conn, err := w.InProcessConnProvider.InProcessConn()
	return &watchedConn{Conn: conn, way: w}, err
}

type watchedConn struct {
	net.Conn
	way *watched
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(c.way.before)) {
		c.way.once.Do(func() { c.way.ended.Store(c.way.happen()) })
	}
	if c.way.ended.Load() {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

const toDelete = "$JS.API.STREAM.MSG.DELETE.DEAD_LETTERS"

func TestReplayThatIsKilledHasOneEffect(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		before string // it is killed before it says this
		stored uint64 // redeliveries until then
	}{
		"before it publishes": {before: "PUB redeliver.wav.error", stored: 0},
		"before it deletes":   {before: toDelete, stored: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t, t.TempDir(), "")
			b, js := natstest.Provisioned(t, server), natstest.JetStream(t, server)
			dead(t, b, "t")
			way := &watched{InProcessConnProvider: server, before: row.before, happen: func() bool { return true }}
			if _, err := natstest.Connect(t, way).Redeliver(within(t, moment), 1); err == nil {
				t.Error("it was not killed")
			}
			if !way.ended.Load() || messages(t, js, "DEAD_LETTERS") != 1 || messages(t, js, "CALLBACKS") != 1+row.stored {
				t.Fatalf("killed: %t, %d dead letters, %d callbacks", way.ended.Load(), messages(t, js, "DEAD_LETTERS"), messages(t, js, "CALLBACKS"))
			}
			redeliver(t, b, 1)
			if letters, callbacks := messages(t, js, "DEAD_LETTERS"), messages(t, js, "CALLBACKS"); letters != 0 || callbacks != 2 {
				t.Errorf("%d dead letters are left, %d callbacks and redeliveries stored", letters, callbacks)
			}
		})
	}
}

func TestLostAnswerToARedeliveryIsAskedForAgain(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	way := newLossy(server)
	b, js := natstest.Provisioned(t, way), natstest.JetStream(t, server)
	dead(t, b, "t")
	way.loseNext(`"stream":"CALLBACKS"`)
	redeliver(t, b, 1)
	if letters, callbacks := messages(t, js, "DEAD_LETTERS"), messages(t, js, "CALLBACKS"); way.lost() != 1 || letters != 0 || callbacks != 2 {
		t.Errorf("%d answers lost, %d dead letters left, %d callbacks", way.lost(), letters, callbacks)
	}
}

// Between publishing and deleting, another replay may do the same.
func TestReplayThatIsOvertakenIsDone(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b, js := natstest.Provisioned(t, server), natstest.JetStream(t, server)
	dead(t, b, "t")
	way := &watched{InProcessConnProvider: server, before: toDelete, happen: func() bool {
		redeliver(t, b, 1)
		return false
	}}
	if letter := redeliver(t, natstest.Connect(t, way), 1); letter.TaskID != "t" {
		t.Errorf("redelivered %+v", letter)
	}
	if letters, callbacks := messages(t, js, "DEAD_LETTERS"), messages(t, js, "CALLBACKS"); letters != 0 || callbacks != 2 {
		t.Errorf("%d dead letters left, %d callbacks", letters, callbacks)
	}
}

func TestReplaysAtTheSameTimeHaveOneEffect(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	dead(t, b, "t")
	var replays sync.WaitGroup
	for range 8 {
		replays.Go(func() {
			if _, err := b.Redeliver(t.Context(), 1); err != nil && !errors.Is(err, broker.ErrNotKept) {
				t.Error(err)
			}
		})
	}
	replays.Wait()
	if letters, callbacks := messages(t, js, "DEAD_LETTERS"), messages(t, js, "CALLBACKS"); letters != 0 || callbacks != 2 {
		t.Errorf("%d dead letters left, %d callbacks", letters, callbacks)
	}
}

func TestRedeliveryThatDiesCanBeReplayedAgain(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	d := durable(t, b, "wav")
	publish(t, b, wav("t"))
	die(t, d)
	var before uint64
	for sequence := uint64(1); sequence <= 3; sequence++ {
		letter := redeliver(t, b, sequence)
		if letter.Subject != "callbacks.wav.error" || letter.RedeliveryOf != before || letter.MessageID != wav("t").MessageID() || !letter.Received.Equal(wav("t").Received) {
			t.Errorf("dead letter %d is %+v", sequence, letter)
		}
		if again := message(t, js, "CALLBACKS", sequence+1); again.Subject != "redeliver.wav.error" {
			t.Errorf("redelivered on %s", again.Subject)
		}
		before = sequence
		die(t, d)
	}
}

// A message that an operator put on redeliver.> is nobody's redelivery.
func TestForeignRedeliveryDiesLikeACallback(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	if _, err := js.Publish(t.Context(), "redeliver.wav.error", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	die(t, durable(t, b, "wav"))
	if letter := redeliver(t, b, 1); letter.Subject != "callbacks.wav.error" || letter.RedeliveryOf != 0 {
		t.Errorf("dead letter %+v", letter)
	}
}

func TestDeadLetterWithoutASubjectStays(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for i, subject := range []string{"", "callbacks", "callbacks.wav", "callbacks.wav.", "callbacks.music.text", "callbacks.wav.*", "redeliver.wav.error", "quarantine.wav.x"} {
		msg := nats.NewMsg("dead-letters.wav")
		if subject != "" {
			msg.Header["Fanfare-Subject"] = []string{subject}
		}
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		letter, err := b.Redeliver(within(t, patience), uint64(i)+1)
		if !errors.Is(err, broker.ErrNotReplayable) || letter.Sequence != uint64(i)+1 {
			t.Errorf("%q: %+v, %v", subject, letter, err)
		}
	}
	if letters, callbacks := messages(t, js, "DEAD_LETTERS"), messages(t, js, "CALLBACKS"); letters != 8 || callbacks != 0 {
		t.Errorf("%d dead letters, %d callbacks", letters, callbacks)
	}
}

// A dead letter is deleted only once its redelivery is seen on the stream.
func TestDeadLetterStaysWhenItsRedeliveryIsNotStored(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		prepare func(tb testing.TB, js jetstream.JetStream)
		want    error
	}{
		"the stream is full": {
			prepare: func(tb testing.TB, js jetstream.JetStream) {
				tb.Helper()
				config := streamConfig(tb, js, "CALLBACKS")
				config.MaxMsgs = 1
				if _, err := js.UpdateStream(tb.Context(), config); err != nil {
					tb.Fatal(err)
				}
			},
			want: broker.ErrUnavailable,
		},
		"another message has its ID": {
			prepare: func(tb testing.TB, js jetstream.JetStream) {
				tb.Helper()
				if _, err := js.Publish(tb.Context(), "redeliver.wav.error", []byte("{}"), jetstream.WithMsgID("redeliver/1")); err != nil {
					tb.Fatal(err)
				}
			},
			want: broker.ErrTaken,
		},
		"the same callback with another body has its ID": {
			prepare: func(tb testing.TB, js jetstream.JetStream) {
				tb.Helper()
				msg := nats.NewMsg("redeliver.wav.error")
				msg.Header["ce-id"] = []string{wav("t").MessageID()}
				if _, err := js.PublishMsg(tb.Context(), msg, jetstream.WithMsgID("redeliver/1")); err != nil {
					tb.Fatal(err)
				}
			},
			want: broker.ErrTaken,
		},
		"a message that is gone had its ID": {
			prepare: func(tb testing.TB, js jetstream.JetStream) {
				tb.Helper()
				natstest.Erasable(tb, js, "CALLBACKS")
				ack, err := js.Publish(tb.Context(), "redeliver.wav.error", []byte("{}"), jetstream.WithMsgID("redeliver/1"))
				if err != nil {
					tb.Fatal(err)
				}
				stream, err := js.Stream(tb.Context(), "CALLBACKS")
				if err != nil {
					tb.Fatal(err)
				}
				if err := stream.DeleteMsg(tb.Context(), ack.Sequence); err != nil {
					tb.Fatal(err)
				}
			},
			want: broker.ErrTaken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, js := provisioned(t)
			dead(t, b, "t")
			row.prepare(t, js)
			begun := time.Now()
			letter, err := b.Redeliver(within(t, patience), 1)
			if !errors.Is(err, row.want) || errors.Is(err, broker.ErrNotKept) || letter.TaskID != "t" {
				t.Errorf("%+v, %v, want %v", letter, err, row.want)
			}
			if took := time.Since(begun); took > patience/3 {
				t.Errorf("took %s", took)
			}
			if n := messages(t, js, "DEAD_LETTERS"); n != 1 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

func TestRedeliveryOnAServerThatIsGone(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	dead(t, b, "t")
	server.Stop()
	eventually.Await(t, "disconnected", func() bool { return !b.Connected() })
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	if _, err := b.Redeliver(ctx, 1); err == nil || errors.Is(err, broker.ErrNotKept) {
		t.Errorf("the error is %v", err)
	}
}
