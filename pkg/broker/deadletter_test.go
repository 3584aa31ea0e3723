package broker_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// death is one of which nothing but the last error is known.
func death(last error) broker.Death { return broker.Death{Reason: "permanent", Last: last} }

// die makes a dead letter of the next delivery.
func die(tb testing.TB, d *broker.Durable) {
	tb.Helper()
	if err := next(tb, d).DeadLetter(tb.Context(), "wav", death(errors.New("no"))); err != nil {
		tb.Fatal(err)
	}
}

func TestDeadLetterIsTheMessageWithItsDeath(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	cb := wav("t")
	publish(t, b, cb)
	d := durable(t, b, "wav")
	if err := next(t, d).Retry(0); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := next(t, d).DeadLetter(t.Context(), "wav", broker.Death{
		Reason:  "permanent",
		First:   errors.New("connection refused"),
		FirstAt: time.Date(2026, 7, 1, 14, 30, 16, 5, time.FixedZone("CEST", 7200)),
		Last:    errors.New("no such host"),
	}); err != nil {
		t.Fatal(err)
	}
	original, letter := message(t, js, "CALLBACKS", 1), message(t, js, "DEAD_LETTERS", 1)
	if letter.Subject != "dead-letters.wav" || !bytes.Equal(letter.Data, cb.Body) {
		t.Errorf("%s holds %s", letter.Subject, letter.Data)
	}
	died, err := time.Parse(time.RFC3339Nano, letter.Header.Get("Fanfare-Died"))
	if err != nil || died.Before(begun) || died.After(time.Now()) || died.Location() != time.UTC {
		t.Errorf("died at %s, %v", letter.Header.Get("Fanfare-Died"), err)
	}
	want := original.Header
	want["Nats-Msg-Id"] = []string{"CALLBACKS/wav/1"}
	want["Nats-Expected-Stream"] = []string{"DEAD_LETTERS"}
	want["Fanfare-Subject"] = []string{"callbacks.wav.error"}
	want["Fanfare-Version"] = []string{"1"}
	want["Fanfare-Reason"] = []string{"permanent"}
	want["Fanfare-Deliveries"] = []string{"2"}
	want["Fanfare-First-Error"] = []string{"connection refused"}
	want["Fanfare-Last-Error"] = []string{"no such host"}
	want["Fanfare-Received"] = []string{"2026-07-01T12:30:15.123456789Z"}
	want["Fanfare-First-Failed"] = []string{"2026-07-01T12:30:16.000000005Z"}
	want["Fanfare-Died"] = letter.Header["Fanfare-Died"]
	if len(letter.Header) != len(want) {
		t.Errorf("headers %v, want %v", letter.Header, want)
	}
	for name := range want {
		if strings.Join(letter.Header[name], "|") != strings.Join(want[name], "|") {
			t.Errorf("header %s is %q, want %q", name, letter.Header[name], want[name])
		}
	}
	eventually.Await(t, "settled", func() bool { return backlog(t, b, "wav").Unsettled() == 0 })
	nothing(t, d, moment)
}

// What JetStream or another dead letter was told about the message is not true of
// its copy, and what nobody knows is not said.
func TestDeadLetterHasTheMessagesOwnHeadersOnly(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, wav("other"))
	msg := nats.NewMsg("callbacks.wav.error")
	msg.Header = nats.Header{
		"traceparent":                 {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		"tracestate":                  {"a=1", "b=2"},
		"Nats-Expected-Last-Sequence": {"1"}, // of CALLBACKS
		"Fanfare-First-Error":         {"forged"},
		"Fanfare-Redelivery-Of":       {"7"},
	}
	if _, err := js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	d := durable(t, b, "wav")
	if err := next(t, d).Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	die(t, d)
	letter := message(t, js, "DEAD_LETTERS", 1)
	for name, want := range map[string][]string{
		"traceparent":                 msg.Header["traceparent"],
		"tracestate":                  {"a=1", "b=2"},
		"Nats-Expected-Last-Sequence": nil,
		"Fanfare-First-Error":         nil,
		"Fanfare-First-Failed":        nil,
		"Fanfare-Redelivery-Of":       nil,
	} {
		if got := letter.Header[name]; !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestErrorTextsFitAHeader(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	d := durable(t, b, "wav")
	for i, row := range []struct {
		text, want string
	}{
		{"plain ~ text", "plain ~ text"},
		{"two\r\nNats-Msg-Id: forged", "two??Nats-Msg-Id: forged"},
		{"tab\tnul\x00del\x7fé\xff", "tab?nul?del???"},
		{strings.Repeat("x", 600), strings.Repeat("x", 512)},
		{strings.Repeat("é", 600), strings.Repeat("?", 512)},
		{"", ""},
	} {
		cb := wav("t")
		cb.Code = int32(i)
		publish(t, b, cb)
		text := errors.New(row.text)
		if err := next(t, d).DeadLetter(t.Context(), "wav", broker.Death{Reason: "permanent", First: text, Last: text}); err != nil {
			t.Fatalf("%q: %v", row.text, err)
		}
		letter := message(t, js, "DEAD_LETTERS", uint64(i)+1)
		for _, name := range []string{"Fanfare-First-Error", "Fanfare-Last-Error"} {
			if got := letter.Header.Get(name); got != row.want {
				t.Errorf("%s: %q became %q, want %q", name, row.text, got, row.want)
			}
		}
	}
}

// A body of full size, with all that there is to say, is still within what the
// server takes.
func TestLargestCallbackFitsADeadLetter(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	cb := wav(strings.Repeat("t", 80))
	cb.Body = bytes.Repeat([]byte{0, '\n', 0xff, 'x'}, 1<<18)
	publish(t, b, cb)
	text := errors.New(strings.Repeat("x", 1000))
	if err := next(t, durable(t, b, "wav")).DeadLetter(t.Context(), "wav", broker.Death{Reason: "permanent", First: text, Last: text}); err != nil {
		t.Fatal(err)
	}
	if letter := message(t, js, "DEAD_LETTERS", 1); !bytes.Equal(letter.Data, cb.Body) {
		t.Error("the body is another one")
	}
}

// A process may end between the publish ack and the term.
func TestSameMessageIsOneDeadLetterOnly(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	shortAckWait(t, js, moment)
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	first := next(t, d)
	second := next(t, d)
	if first.Number != 1 || second.Number != 2 {
		t.Errorf("deliveries %d and %d", first.Number, second.Number)
	}
	for i, delivery := range []*broker.Delivery{second, first} {
		if err := delivery.DeadLetter(t.Context(), "wav", death(errors.New("no"))); err != nil {
			t.Errorf("dead letter %d: %v", i+1, err)
		}
	}
	if letter := message(t, js, "DEAD_LETTERS", 1); messages(t, js, "DEAD_LETTERS") != 1 || letter.Header.Get("Fanfare-Deliveries") != "2" {
		t.Errorf("%d dead letters, the first with headers %v", messages(t, js, "DEAD_LETTERS"), letter.Header)
	}
	nothing(t, d, 2*moment)
}

// The server may not hear that a message is dead, though its copy is stored.
func TestMessageWhoseEndFailedComesAgainAndEndsThen(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	first := next(t, d)
	if err := first.Retry(0); err != nil { // a message that is settled cannot be ended
		t.Fatal(err)
	}
	if err := first.DeadLetter(t.Context(), "wav", death(errors.New("no"))); err == nil || errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v: the copy is stored, the message is not ended", err)
	}
	if n := messages(t, js, "DEAD_LETTERS"); n != 1 {
		t.Fatalf("%d dead letters", n)
	}
	die(t, d)
	eventually.Await(t, "settled", func() bool { return backlog(t, b, "wav").Unsettled() == 0 })
	nothing(t, d, moment)
	if letter := message(t, js, "DEAD_LETTERS", 1); messages(t, js, "DEAD_LETTERS") != 1 || letter.Header.Get("Fanfare-Deliveries") != "1" {
		t.Errorf("%d dead letters, the first with headers %v", messages(t, js, "DEAD_LETTERS"), letter.Header)
	}
}

// An operator may be faster than the second delivery.
func TestMessageWhoseDeadLetterIsDealtWithEndsAllTheSame(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	first := next(t, d)
	if err := first.Retry(0); err != nil {
		t.Fatal(err)
	}
	if err := first.DeadLetter(t.Context(), "wav", death(errors.New("no"))); err == nil {
		t.Fatal("ended")
	}
	if err := b.DropFromDeadLetters(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	die(t, d)
	eventually.Await(t, "settled", func() bool { return backlog(t, b, "wav").Unsettled() == 0 })
	if n := messages(t, js, "DEAD_LETTERS"); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

// Sequence numbers begin again when a stream is created anew, and message IDs with
// them.
func TestDeadLetterOfAnotherMessageEndsNothing(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b, js := natstest.Provisioned(t, server), natstest.JetStream(t, server)
	publish(t, b, wav("before"))
	die(t, durable(t, b, "wav"))
	if err := js.DeleteStream(t.Context(), "CALLBACKS"); err != nil {
		t.Fatal(err)
	}
	natstest.Provisioned(t, server)
	publish(t, b, wav("after"))
	delivery := next(t, durable(t, b, "wav"))
	if err := delivery.DeadLetter(t.Context(), "wav", death(errors.New("no"))); !errors.Is(err, broker.ErrTaken) {
		t.Errorf("%v is no ErrTaken", err)
	}
	if err := delivery.Retry(0); err != nil {
		t.Errorf("the delivery cannot be retried any more: %v", err)
	}
}

// Nothing is termed before it is safe elsewhere.
func TestMessageWhoseDeadLetterIsNotStoredComesAgain(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b, js := natstest.Provisioned(t, server), natstest.JetStream(t, server)
	shortAckWait(t, js, moment)
	if err := js.DeleteStream(t.Context(), "DEAD_LETTERS"); err != nil {
		t.Fatal(err)
	}
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	if err := next(t, d).DeadLetter(within(t, 2*moment), "wav", death(errors.New("no"))); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
	natstest.Provisioned(t, server)
	eventually.Await(t, "the dead letter is stored", func() bool {
		return next(t, d).DeadLetter(within(t, patience), "wav", death(errors.New("no"))) == nil
	})
	if n := messages(t, js, "DEAD_LETTERS"); n != 1 {
		t.Errorf("%d dead letters", n)
	}
	eventually.Await(t, "settled", func() bool { return backlog(t, b, "wav").Unsettled() == 0 })
}

// The oldest are kept, what does not fit is retried, and the metrics tell before.
func TestFullDeadLettersRefuseAtOnceAndEndNothing(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	const room = 16 << 10
	config := streamConfig(t, js, "DEAD_LETTERS")
	config.MaxBytes = room
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	d := durable(t, b, "wav")
	var stored uint64
	var refused *broker.Delivery
	for refused == nil {
		publish(t, b, wav(fmt.Sprintf("t%d", stored)))
		delivery := next(t, d)
		begun := time.Now()
		err := delivery.DeadLetter(within(t, patience), "wav", death(errors.New("no")))
		switch {
		case err == nil:
			stored++
		case errors.Is(err, broker.ErrUnavailable):
			refused = delivery
		default:
			t.Fatalf("%v is no ErrUnavailable", err)
		}
		if took := time.Since(begun); took > patience/4 {
			t.Errorf("took %s", took)
		}
	}
	if n := messages(t, js, "DEAD_LETTERS"); n != stored || n < 10 || message(t, js, "DEAD_LETTERS", 1).Header.Get("ce-subject") != "t0" {
		t.Errorf("%d dead letters, %d were stored", n, stored)
	}
	metrics := gather(t, b.Collector(nil))
	if is, most := metrics["stream_bytes stream=DEAD_LETTERS"], metrics["stream_max_bytes stream=DEAD_LETTERS"]; most != room || is < 0.9*room || is > room {
		t.Errorf("the metrics tell of %v of %v bytes", is, most)
	}
	if left := backlog(t, b, "wav"); left.AckPending != 1 {
		t.Errorf("backlog %+v", left)
	}
	if err := refused.Retry(0); err != nil {
		t.Errorf("the delivery cannot be retried any more: %v", err)
	}
	if err := b.DropFromDeadLetters(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	die(t, d)
	eventually.Await(t, "settled", func() bool { return backlog(t, b, "wav").Unsettled() == 0 })
}
