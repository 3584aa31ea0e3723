package broker_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/natsd/natstest"
)

func TestDeadLetterIsTheMessageWithItsReason(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	cb := wav("t")
	publish(t, b, cb)
	d := durable(t, b, "wav")
	if err := next(t, d).Retry(0); err != nil {
		t.Fatal(err)
	}
	if err := next(t, d).DeadLetter(t.Context(), "wav", "permanent", errors.New("no such host")); err != nil {
		t.Fatal(err)
	}
	original, letter := message(t, js, "CALLBACKS", 1), message(t, js, "DEAD_LETTERS", 1)
	if letter.Subject != "dead-letters.wav" || !bytes.Equal(letter.Data, cb.Body) {
		t.Errorf("%s holds %s", letter.Subject, letter.Data)
	}
	want := original.Header
	want["Nats-Msg-Id"] = []string{"CALLBACKS/wav/1"}
	want["Nats-Expected-Stream"] = []string{"DEAD_LETTERS"}
	want["Fanfare-Subject"] = []string{"callbacks.wav.error"}
	want["Fanfare-Reason"] = []string{"permanent"}
	want["Fanfare-Deliveries"] = []string{"2"}
	want["Fanfare-Last-Error"] = []string{"no such host"}
	if len(letter.Header) != len(want) {
		t.Errorf("headers %v, want %v", letter.Header, want)
	}
	for name := range want {
		if strings.Join(letter.Header[name], "|") != strings.Join(want[name], "|") {
			t.Errorf("header %s is %q, want %q", name, letter.Header[name], want[name])
		}
	}
	eventually(t, "settled", func() bool { return backlog(t, b, "wav").Unsettled() == 0 })
	nothing(t, d, moment)
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
		if err := next(t, d).DeadLetter(t.Context(), "wav", "permanent", errors.New(row.text)); err != nil {
			t.Fatalf("%q: %v", row.text, err)
		}
		letter := message(t, js, "DEAD_LETTERS", uint64(i)+1)
		if got := letter.Header.Get("Fanfare-Last-Error"); got != row.want {
			t.Errorf("%q became %q, want %q", row.text, got, row.want)
		}
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
		if err := delivery.DeadLetter(t.Context(), "wav", "permanent", errors.New("no")); err != nil {
			t.Errorf("dead letter %d: %v", i+1, err)
		}
	}
	if letter := message(t, js, "DEAD_LETTERS", 1); messages(t, js, "DEAD_LETTERS") != 1 || letter.Header.Get("Fanfare-Deliveries") != "2" {
		t.Errorf("%d dead letters, the first with headers %v", messages(t, js, "DEAD_LETTERS"), letter.Header)
	}
	nothing(t, d, 2*moment)
}

func TestSameCallbackOnAnotherGoIsAnotherDeadLetter(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	if err := next(t, d).DeadLetter(t.Context(), "wav", "permanent", errors.New("no")); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "redeliver.wav.error", []byte("again")); err != nil {
		t.Fatal(err)
	}
	if err := next(t, d).DeadLetter(t.Context(), "wav", "permanent", errors.New("no")); err != nil {
		t.Fatal(err)
	}
	if letter := message(t, js, "DEAD_LETTERS", 2); letter.Header.Get("Fanfare-Subject") != "redeliver.wav.error" {
		t.Errorf("headers %v", letter.Header)
	}
}

// Nothing is termed before it is safe elsewhere.
func TestMessageWhoseDeadLetterIsNotStoredComesAgain(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b, js := natstest.Provisioned(t, server), raw(t, server)
	shortAckWait(t, js, moment)
	if err := js.DeleteStream(t.Context(), "DEAD_LETTERS"); err != nil {
		t.Fatal(err)
	}
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	if err := next(t, d).DeadLetter(within(t, 2*moment), "wav", "permanent", errors.New("no")); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
	natstest.Provisioned(t, server)
	eventually(t, "the dead letter is stored", func() bool {
		return next(t, d).DeadLetter(within(t, patience), "wav", "permanent", errors.New("no")) == nil
	})
	if n := messages(t, js, "DEAD_LETTERS"); n != 1 {
		t.Errorf("%d dead letters", n)
	}
	eventually(t, "settled", func() bool { return backlog(t, b, "wav").Unsettled() == 0 })
}

func TestFullDeadLettersRefuseAtOnceAndTermNothing(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	config := streamConfig(t, js, "DEAD_LETTERS")
	config.MaxMsgs = 0
	config.MaxBytes = 1
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	publish(t, b, wav("t"))
	delivery := next(t, durable(t, b, "wav"))
	begun := time.Now()
	if err := delivery.DeadLetter(within(t, patience), "wav", "permanent", errors.New("no")); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
	if took := time.Since(begun); took > patience/4 {
		t.Errorf("refused only after %s", took)
	}
	if left := backlog(t, b, "wav"); left.AckPending != 1 {
		t.Errorf("backlog %+v", left)
	}
	if err := delivery.Retry(0); err != nil {
		t.Errorf("the delivery cannot be retried any more: %v", err)
	}
}
