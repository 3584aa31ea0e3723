package broker_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

func backlog(tb testing.TB, b *broker.Broker, t callback.Type) broker.Backlog {
	tb.Helper()
	found, err := b.Backlog(tb.Context(), t)
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

func TestAckedMessageDoesNotComeAgain(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	shortAckWait(t, js, moment)
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	if err := next(t, d).Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	// No polling: a double ack is on the server's disk by now.
	if left := backlog(t, b, "wav"); left.Unsettled() != 0 {
		t.Errorf("backlog %+v", left)
	}
	nothing(t, d, 3*moment)
	if n := messages(t, js, "CALLBACKS"); n != 1 {
		t.Errorf("%d messages: a settled callback is kept all the same", n)
	}
}

func TestMessageThatNobodySettlesComesAgain(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	shortAckWait(t, js, moment)
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	for number := uint64(1); number <= 3; number++ {
		if got := next(t, d).Number; got != number {
			t.Errorf("delivery %d has number %d", number, got)
		}
	}
}

// An ack of which the server does not say that it has it may be lost.
func TestAckWaitsForTheServer(t *testing.T) {
	t.Parallel()
	way := newLossy(natstest.Start(t, t.TempDir(), ""))
	b := natstest.Provisioned(t, way)
	publish(t, b, wav("t"))
	d := next(t, durable(t, b, "wav"))
	way.hang(t)
	begun := time.Now()
	if err := d.Ack(within(t, moment)); err == nil {
		t.Error("acked by a server that says nothing")
	}
	if took := time.Since(begun); took < moment/2 || took > patience/3 {
		t.Errorf("waited for %s", took)
	}
}

func TestRetryComesAgainAfterItsDelay(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	first := next(t, d)
	begun := time.Now()
	if err := first.Retry(2 * moment); err != nil {
		t.Fatal(err)
	}
	second := next(t, d)
	if took := time.Since(begun); took < 2*moment-50*time.Millisecond {
		t.Errorf("came again after %s", took)
	}
	if second.Number != 2 || second.MessageID != first.MessageID || !second.Received.Equal(first.Received) {
		t.Errorf("%+v came again as %+v", first, second)
	}
	if err := second.Ack(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRetryDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	publish(t, b, wav("later"))
	d := durable(t, b, "wav")
	if err := next(t, d).Retry(patience); err != nil {
		t.Fatal(err)
	}
	publish(t, b, wav("now"))
	if got := next(t, d); got.MessageID != wav("now").MessageID() {
		t.Errorf("%s came", got.MessageID)
	}
}

func TestInProgressKeepsAMessageFromComingAgain(t *testing.T) {
	t.Parallel()
	const wait = 3 * moment
	b, js := provisioned(t)
	shortAckWait(t, js, wait)
	publish(t, b, wav("t"))
	d := durable(t, b, "wav")
	first := next(t, d)
	for end := time.Now().Add(2 * wait); time.Now().Before(end); {
		if err := first.InProgress(); err != nil {
			t.Fatal(err)
		}
		nothing(t, d, wait/6)
	}
	if err := first.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	nothing(t, d, wait+moment)
}

func TestDeliveryIsSettledOnce(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	publish(t, b, wav("t"))
	d := next(t, durable(t, b, "wav"))
	if err := d.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d.Ack(t.Context()) == nil || d.Retry(0) == nil {
		t.Error("settled twice")
	}
	if err := d.InProgress(); err != nil {
		t.Errorf("a sign of life that came too late: %v", err)
	}
}

func TestReplayedDeadLetterReachesItsDurableOnly(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for i, subject := range []string{"redeliver.wav.complete", "redeliver.music.text", "redeliver.wav.error"} {
		msg := nats.NewMsg(subject)
		msg.Data = []byte(subject)
		msg.Header["ce-id"] = []string{"wav/t/complete/200"}
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	d := durable(t, b, "wav")
	for _, want := range []string{"redeliver.wav.complete", "redeliver.wav.error"} {
		got := next(t, d)
		if string(got.Body) != want || got.MessageID != "wav/t/complete/200" || got.Number != 1 {
			t.Errorf("delivery %+v, want the one of %s", got, want)
		}
	}
	nothing(t, d, moment)
}
