package broker_test

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

func TestCallbackIsACloudEventOnItsSubject(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	cet := time.FixedZone("CET", 3600)
	for i, row := range []struct {
		cb            callback.Callback
		subject, id   string
		kind, at, num string
	}{
		{
			callback.Callback{Type: "music", TaskID: "a1", Stage: callback.Text, Code: 200, Received: time.Unix(1, 5), Body: []byte(`{ "as": "sent" }` + "\r\n")},
			"callbacks.music.text", "music/a1/text/200", "fanfare.callback.music.text", "1970-01-01T00:00:01.000000005Z", "200",
		},
		{
			callback.Callback{Type: "video", TaskID: "2fac****9f72", Stage: callback.Complete, Received: time.Date(2026, 7, 1, 1, 0, 0, 0, cet), Body: []byte("\x00\xff")},
			"callbacks.video.complete", "video/2fac****9f72/complete/0", "fanfare.callback.video.complete", "2026-07-01T00:00:00Z", "0",
		},
		{
			callback.Callback{Type: "music", TaskID: "a:b.c_d-E", Stage: callback.Other, Word: "task_completed", Code: -5, Received: time.Unix(2, 0)},
			"callbacks.music.other", "music/a:b.c_d-E/other:task_completed/-5", "fanfare.callback.music.other", "1970-01-01T00:00:02Z", "-5",
		},
		{
			callback.Callback{Type: "wav", TaskID: ".*:-_.0", Stage: callback.Error, Code: 531, Received: time.Unix(3, 0), Body: bytes.Repeat([]byte("x"), 1<<20)},
			"callbacks.wav.error", "wav/.*:-_.0/error/531", "fanfare.callback.wav.error", "1970-01-01T00:00:03Z", "531",
		},
	} {
		if publish(t, b, row.cb) {
			t.Errorf("%s is a duplicate", row.id)
		}
		msg := message(t, js, "CALLBACKS", uint64(i)+1)
		if msg.Subject != row.subject || !bytes.Equal(msg.Data, row.cb.Body) {
			t.Errorf("%s: subject %s, body of %d bytes", row.id, msg.Subject, len(msg.Data))
		}
		want := nats.Header{
			"ce-specversion":       {"1.0"},
			"ce-id":                {row.id},
			"ce-type":              {row.kind},
			"ce-source":            {"/callbacks/" + string(row.cb.Type)},
			"ce-subject":           {string(row.cb.TaskID)},
			"ce-time":              {row.at},
			"ce-datacontenttype":   {"application/json"},
			"ce-stage":             {string(row.cb.Stage)},
			"ce-code":              {row.num},
			"Nats-Msg-Id":          {row.id},
			"Nats-Expected-Stream": {"CALLBACKS"},
		}
		if !maps.EqualFunc(msg.Header, want, func(a, b []string) bool { return strings.Join(a, "|") == strings.Join(b, "|") }) {
			t.Errorf("%s: headers %v, want %v", row.id, msg.Header, want)
		}
	}
}

func TestSameMessageIDIsStoredOnce(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	first, spaced, other := wav("t"), wav("t"), wav("t")
	spaced.Body = append([]byte(" "), first.Body...)
	other.Body = []byte(`{"code":500,"msg":"another","data":{"task_id":"t"}}`)
	for i, row := range []struct {
		callback callback.Callback
		want     broker.Published
	}{{first, broker.Stored}, {first, broker.Duplicate}, {spaced, broker.Duplicate}, {other, broker.Conflict}} {
		if got, err := b.Publish(t.Context(), row.callback); err != nil || got != row.want {
			t.Errorf("publish %d: came to %d, %v, want %d", i+1, got, err, row.want)
		}
	}
	if n := messages(t, js, "CALLBACKS"); n != 1 {
		t.Errorf("%d messages", n)
	}
	if msg := message(t, js, "CALLBACKS", 1); !bytes.Equal(msg.Data, first.Body) {
		t.Errorf("the stream holds %s", msg.Data)
	}
}

func TestMessageIDsThatDifferAreAllStored(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	all := []callback.Callback{wav("a"), wav("A"), wav("a*"), wav("a."), wav("a:"), wav("a-"), wav("a_"), wav("*a"), wav("*")}
	success, music := wav("a"), wav("a")
	success.Stage, success.Code = callback.Complete, 200
	music.Type = "music"
	all = append(all, success, music)
	for _, word := range []string{"x", "y"} {
		other := wav("a")
		other.Stage, other.Word = callback.Other, word
		all = append(all, other)
	}
	for _, cb := range all {
		if publish(t, b, cb) {
			t.Errorf("%s is a duplicate", cb.MessageID())
		}
	}
	if n := messages(t, js, "CALLBACKS"); n != uint64(len(all)) {
		t.Errorf("%d messages, want %d", n, len(all))
	}
}

// What the stream has from our own earlier sending is no duplicate: nobody was
// told that it is stored.
func TestLostAckIsNoDuplicate(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	way := newLossy(server)
	b := natstest.Provisioned(t, way)
	way.loseNext(`"seq":`)
	if publish(t, b, wav("t")) {
		t.Error("our own resend is called a duplicate")
	}
	if way.lost() != 1 {
		t.Fatal("the ack was not lost")
	}
	if n := messages(t, natstest.JetStream(t, server), "CALLBACKS"); n != 1 {
		t.Errorf("%d messages", n)
	}
	if !publish(t, b, wav("t")) {
		t.Error("the next publish is no duplicate")
	}
}

// An answer that was lost makes nobody else's message ours.
func TestLostAckOfAnothersMessage(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	way := newLossy(server)
	b := natstest.Provisioned(t, way)
	for id, row := range map[string]struct {
		body string
		want broker.Published
	}{
		"same":  {body: string(wav("same").Body), want: broker.Duplicate},
		"other": {body: `{"code":500,"msg":"another","data":{"task_id":"other"}}`, want: broker.Conflict},
	} {
		first, second := wav(id), wav(id)
		second.Received = first.Received.Add(time.Minute)
		second.Body = []byte(row.body)
		if publish(t, b, first) {
			t.Fatal("the first is a duplicate")
		}
		before := way.lost()
		way.loseNext(`"seq":`)
		if got, err := b.Publish(within(t, 20*time.Second), second); err != nil || got != row.want {
			t.Errorf("%s: came to %d, %v, want %d", id, got, err, row.want)
		}
		if way.lost() != before+1 {
			t.Fatal("the ack was not lost")
		}
	}
}

// refusedAtOnce publishes what must be refused long before its context ends.
func refusedAtOnce(tb testing.TB, b *broker.Broker, cb callback.Callback) error {
	tb.Helper()
	begun := time.Now()
	_, err := b.Publish(within(tb, patience), cb)
	if !errors.Is(err, broker.ErrUnavailable) {
		tb.Fatalf("%v is no ErrUnavailable", err)
	}
	if took := time.Since(begun); took > patience/4 {
		tb.Errorf("refused only after %s", took)
	}
	for _, word := range []string{broker.Subject(cb.Type, cb.Stage), cb.MessageID()} {
		if !strings.Contains(err.Error(), word) {
			tb.Errorf("error %q does not say %q", err, word)
		}
	}
	return err
}

func TestFullStreamRefusesAndDropsNothing(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	config := streamConfig(t, js, "CALLBACKS")
	config.MaxBytes = 60_000
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	big := wav("big")
	big.Body = make([]byte, 40_000)
	publish(t, b, big)
	more := wav("more")
	more.Body = big.Body
	if err := refusedAtOnce(t, b, more); !strings.Contains(err.Error(), "maximum bytes") {
		t.Errorf("the error is %v", err)
	}
	if n := messages(t, js, "CALLBACKS"); n != 1 {
		t.Errorf("%d messages", n)
	}
	if msg := message(t, js, "CALLBACKS", 1); msg.Header.Get("ce-subject") != "big" {
		t.Error("what was stored was dropped")
	}
	small := wav("small")
	if publish(t, b, small) {
		t.Error("what was never stored is called a duplicate")
	}
	if !publish(t, b, big) {
		t.Error("a full stream must still know what it has")
	}
}

func TestMessageThatTheServerDoesNotTakeIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	large := wav("large")
	large.Body = make([]byte, broker.MaxPayload+1)
	if err := refusedAtOnce(t, b, large); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("the error is %v", err)
	}
	if n := messages(t, js, "CALLBACKS"); n != 0 {
		t.Errorf("%d messages", n)
	}
	publish(t, b, wav("small")) // the connection is not hurt
}

func TestPublishWithoutAStreamWaitsForIt(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Connect(t, server)
	if _, err := b.Publish(within(t, moment), wav("t")); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := b.Publish(within(t, patience), wav("t"))
		done <- err
	}()
	natstest.Provisioned(t, server)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServerThatComesBackGetsTheCallback(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := natstest.Start(t, dir, "127.0.0.1:0")
	natstest.Provisioned(t, server)
	addr := server.Addr().String()
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), Name: t.Name(), URL: "nats://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	publish(t, b, wav("before"))
	server.Stop()
	eventually.Await(t, "disconnected", func() bool { return !b.Connected() })

	begun := time.Now()
	if _, err := b.Publish(within(t, moment), wav("lost")); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
	if took := time.Since(begun); took > patience/4 {
		t.Errorf("gave up only after %s", took)
	}
	type outcome struct {
		duplicate bool
		err       error
	}
	outcomes := make(map[string]chan outcome)
	for _, id := range []string{"before", "meanwhile"} {
		done := make(chan outcome, 1)
		outcomes[id] = done
		ctx := within(t, patience)
		go func() {
			published, err := b.Publish(ctx, wav(id))
			done <- outcome{published == broker.Duplicate, err}
		}()
	}
	again := natstest.Start(t, dir, addr)
	for id, done := range outcomes {
		if o := <-done; o.err != nil || (o.duplicate && id == "meanwhile") {
			t.Errorf("%s: duplicate %v, %v", id, o.duplicate, o.err)
		}
	}
	// What was refused while the server was gone is not stored behind its sender's back.
	if n := messages(t, natstest.JetStream(t, again), "CALLBACKS"); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}
