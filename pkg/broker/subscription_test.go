package broker_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
)

func subscription(tb testing.TB, b *broker.Broker, o broker.SubscriptionOptions) *broker.Subscription {
	tb.Helper()
	if o.Service == "" {
		o.Service = "billing"
	}
	if o.AckWait == 0 {
		o.AckWait = time.Minute
	}
	o.Type = "wav"
	s, err := b.Subscription(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// open opens a subscription and checks whether its durable was missing.
func open(tb testing.TB, s *broker.Subscription, created bool) *broker.Durable {
	tb.Helper()
	d, is, err := s.Open(tb.Context())
	if err != nil || is != created {
		tb.Fatalf("created %v, %v, want %v", is, err, created)
	}
	return d
}

// reopen creates the durable of a subscription that has just been lost. The server
// clears the lost one's files away behind its back, and may refuse until it has.
func reopen(tb testing.TB, s *broker.Subscription) *broker.Durable {
	tb.Helper()
	var d *broker.Durable
	eventually.Await(tb, "created anew", func() bool {
		var created bool
		var err error
		d, created, err = s.Open(tb.Context())
		return err == nil && created
	})
	return d
}

func consumerInfo(tb testing.TB, js jetstream.JetStream, stream string) *jetstream.ConsumerInfo {
	tb.Helper()
	consumer, err := js.Consumer(tb.Context(), stream, "billing_wav")
	if err != nil {
		tb.Fatal(err)
	}
	return consumer.CachedInfo()
}

func TestSubscriptionIsCreatedOnceAndKept(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for stream, row := range map[string]struct {
		options broker.SubscriptionOptions
		want    jetstream.ConsumerConfig
	}{
		"CALLBACKS": {
			broker.SubscriptionOptions{},
			jetstream.ConsumerConfig{
				Description: "The wav callbacks for billing", FilterSubject: "callbacks.wav.>", DeliverPolicy: jetstream.DeliverAllPolicy, MaxAckPending: 20_000,
			},
		},
		"KV_RESULTS": {
			broker.SubscriptionOptions{Results: true, FromNow: true},
			jetstream.ConsumerConfig{
				Description: "The wav results for billing", FilterSubject: "$KV.RESULTS.wav.>", DeliverPolicy: jetstream.DeliverNewPolicy, MaxAckPending: 1,
			},
		},
	} {
		s := subscription(t, b, row.options)
		open(t, s, true)
		is := consumerInfo(t, js, stream)
		want := row.want
		want.Name, want.Durable, want.AckPolicy, want.AckWait, want.MaxDeliver = "billing_wav", "billing_wav", jetstream.AckExplicitPolicy, time.Minute, -1
		want.MaxWaiting, want.Metadata = is.Config.MaxWaiting, is.Config.Metadata // the server's own
		if s.Name() != "billing_wav" || !reflect.DeepEqual(is.Config, want) {
			t.Errorf("durable %s on %s is %+v, want %+v", s.Name(), stream, is.Config, want)
		}
		open(t, s, false)
		open(t, subscription(t, b, row.options), false)
		if again := consumerInfo(t, js, stream); !again.Created.Equal(is.Created) || !reflect.DeepEqual(again.Config, is.Config) {
			t.Errorf("%+v became %+v", is, again)
		}
	}
}

// overtaken is the way to a server on which something else happens just before a
// durable is created.
type overtaken struct {
	nats.InProcessConnProvider
	by func()
}

// InProcessConn implements [nats.InProcessConnProvider].
func (o overtaken) InProcessConn() (net.Conn, error) {
	conn, err := o.InProcessConnProvider.InProcessConn()
	return &overtakenConn{conn, o.by}, err
}

type overtakenConn struct {
	net.Conn
	by func()
}

func (c *overtakenConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("CONSUMER.CREATE")) {
		c.by()
	}
	return c.Conn.Write(p)
}

// Copies may start at the same time, and need not agree where to begin.
func TestCopyThatIsFasterIsFollowed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	fast := natstest.Provisioned(t, server)
	slow := natstest.Connect(t, overtaken{server, func() {
		if _, created, err := subscription(t, fast, broker.SubscriptionOptions{FromNow: true}).Open(t.Context()); !created {
			t.Errorf("the faster copy created nothing: %v", err)
		}
	}})
	publish(t, fast, wav("t"))
	d := open(t, subscription(t, slow, broker.SubscriptionOptions{}), false)
	nothing(t, d, moment)
}

func TestSubscriptionThatExistsDifferent(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b, js := natstest.Provisioned(t, server), natstest.JetStream(t, server)
	rows := 0
	for want, change := range map[string]func(*jetstream.ConsumerConfig){
		"":                                       func(*jetstream.ConsumerConfig) {},
		"ack_wait is 5s, not 1m0s":               func(c *jetstream.ConsumerConfig) { c.AckWait = 5 * time.Second },
		"max_deliver is 5, not -1":               func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 },
		"max_ack_pending is 8, not 1":            func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 8 },
		"ack_policy is AckAll, not AckExplicit":  func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy },
		"headers_only is true, not false":        func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true },
		"inactive_threshold is 1h0m0s, not 0s":   func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour },
		"replay_policy is original, not instant": func(c *jetstream.ConsumerConfig) { c.ReplayPolicy = jetstream.ReplayOriginalPolicy },
		"is a push consumer":                     func(c *jetstream.ConsumerConfig) { c.DeliverSubject = "somewhere" },
		"filter_subjects is [$KV.RESULTS.music.>], not [$KV.RESULTS.wav.>]": func(c *jetstream.ConsumerConfig) {
			c.FilterSubject = "$KV.RESULTS.music.>"
		},
		"filter_subjects is [], not [$KV.RESULTS.wav.>]": func(c *jetstream.ConsumerConfig) {
			c.FilterSubject, c.DeliverPolicy = "", jetstream.DeliverAllPolicy
		},
		"backoff is [1m0s], not []; ": func(c *jetstream.ConsumerConfig) {
			c.BackOff, c.InactiveThreshold = []time.Duration{time.Minute}, time.Hour
		},
		"priority_groups is [a], not []": func(c *jetstream.ConsumerConfig) {
			c.PriorityGroups, c.PriorityPolicy = []string{"a"}, jetstream.PriorityPolicyOverflow
		},
	} {
		rows++
		service := fmt.Sprintf("billing-%d", rows)
		config := jetstream.ConsumerConfig{
			Durable: service + "_wav", FilterSubject: "$KV.RESULTS.wav.>", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxDeliver: -1, MaxAckPending: 1,
			DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, // its past, and no drift
		}
		change(&config)
		create(t, js, config)
		_, created, err := subscription(t, b, broker.SubscriptionOptions{Service: service, Results: true}).Open(t.Context())
		switch {
		case want == "" && err != nil:
			t.Errorf("as it should be: %v", err)
		case want != "" && (!errors.Is(err, broker.ErrDiffers) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), config.Durable+" on stream KV_RESULTS")):
			t.Errorf("%v, want %s", err, want)
		case created:
			t.Errorf("%s: created", want)
		}
	}
}

// create creates a durable on results as another program would, pull or push.
func create(tb testing.TB, js jetstream.JetStream, config jetstream.ConsumerConfig) {
	tb.Helper()
	var err error
	if config.DeliverSubject == "" {
		_, err = js.CreateConsumer(tb.Context(), "KV_RESULTS", config)
	} else {
		_, err = js.CreatePushConsumer(tb.Context(), "KV_RESULTS", config)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func TestFilterSpelledAsAListIsTheSame(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	create(t, js, jetstream.ConsumerConfig{
		Durable: "billing_wav", FilterSubjects: []string{"$KV.RESULTS.wav.>"}, AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxDeliver: -1, MaxAckPending: 1,
	})
	open(t, subscription(t, b, broker.SubscriptionOptions{Results: true}), false)
}

func TestPausedSubscriptionIsKept(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	s := subscription(t, b, broker.SubscriptionOptions{})
	open(t, s, true)
	if _, err := js.PauseConsumer(t.Context(), "CALLBACKS", s.Name(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	d := open(t, s, false)
	publish(t, b, wav("t"))
	nothing(t, d, moment)
}

func TestLostSubscriptionGoesOnWhereItIsKnownToHaveBeen(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		publish(t, b, wav(id))
	}
	s := subscription(t, b, broker.SubscriptionOptions{})
	lose := func() {
		t.Helper()
		if err := js.DeleteConsumer(t.Context(), "CALLBACKS", s.Name()); err != nil {
			t.Fatal(err)
		}
	}
	settle := func(d *broker.Durable, id string) {
		t.Helper()
		got := next(t, d)
		if got.MessageID != wav(id).MessageID() {
			t.Errorf("%s came, want %s", got.MessageID, id)
		}
		if err := got.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Remember(t.Context()); err != nil {
		t.Errorf("before it was opened: %v", err)
	}
	d := open(t, s, true)
	settle(d, "a")
	settle(d, "b")
	if err := s.Remember(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(d, "c")
	lose()
	if err := s.Remember(t.Context()); err == nil {
		t.Error("what is lost is remembered")
	}
	d = reopen(t, s)
	settle(d, "c") // settled, but nobody knew
	if err := s.Remember(t.Context()); err != nil {
		t.Fatal(err)
	}
	lose()
	reopen(t, subscription(t, b, broker.SubscriptionOptions{FromNow: true})) // another copy that has just begun
	lose()
	settle(reopen(t, s), "d")
}

func TestSubscriptionFromNowMissesNothingWhenItIsLost(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, wav("old"))
	s := subscription(t, b, broker.SubscriptionOptions{FromNow: true})
	open(t, s, true)
	publish(t, b, wav("new"))
	if err := js.DeleteConsumer(t.Context(), "CALLBACKS", s.Name()); err != nil {
		t.Fatal(err)
	}
	d := reopen(t, s)
	if got := next(t, d); got.MessageID != wav("new").MessageID() {
		t.Errorf("%s came", got.MessageID)
	}
	nothing(t, d, moment)
}

func TestSubscriptionOnAStreamThatWasReplaced(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b, js := natstest.Provisioned(t, server), natstest.JetStream(t, server)
	for _, id := range []string{"a", "b", "c"} {
		publish(t, b, wav(id))
	}
	s := subscription(t, b, broker.SubscriptionOptions{FromNow: true})
	open(t, s, true)
	if err := js.DeleteStream(t.Context(), "CALLBACKS"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(t.Context()); !errors.Is(err, broker.ErrNoDurable) || !strings.Contains(err.Error(), "run fanfare provision") {
		t.Errorf("without a stream: %v", err)
	}
	natstest.Provisioned(t, server)
	publish(t, b, wav("d"))
	if got := next(t, open(t, s, true)); got.MessageID != wav("d").MessageID() {
		t.Errorf("%s came", got.MessageID)
	}
}

func TestSubscriptionThatIsRefused(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	for _, o := range []broker.SubscriptionOptions{
		{Service: "", Type: "wav"},
		{Service: "a.b", Type: "wav"},
		{Service: strings.Repeat("a", 65), Type: "wav"},
		{Service: "billing", Type: ""},
		{Service: "billing", Type: "wav.>"},
		{Service: "billing", Type: "*"},
	} {
		if _, err := b.Subscription(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestTerminatedMessageDoesNotComeAgain(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	publish(t, b, wav("t"))
	d := open(t, subscription(t, b, broker.SubscriptionOptions{AckWait: moment}), true)
	if err := next(t, d).Term("no such\r\ncustomer \xff"); err != nil {
		t.Fatal(err)
	}
	nothing(t, d, 3*moment)
	if i := consumerInfo(t, js, "CALLBACKS"); i.NumAckPending != 0 || i.AckFloor.Stream != 1 {
		t.Errorf("%+v", i)
	}
	if n := messages(t, js, "CALLBACKS"); n != 1 {
		t.Errorf("%d messages: it is kept all the same", n)
	}
}

func TestResultOfADelivery(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	d := open(t, subscription(t, b, broker.SubscriptionOptions{Results: true}), true)
	for _, row := range []struct {
		name, key, value string
		header           nats.Header
		found, ok        bool
	}{
		{"a result", "wav.a=2Ab", `{"type":"wav","task_id":"a*b","new":{"er":1}}`, nil, true, true},
		{"deleted", "wav.a", "", nats.Header{"KV-Operation": {"DEL"}}, false, true},
		{"purged", "wav.a", "", nats.Header{"KV-Operation": {"PURGE"}}, false, true},
		{"expired", "wav.a", "", nats.Header{"Nats-Marker-Reason": {"MaxAge"}}, false, true},
		{"nothing", "wav.a", "", nil, false, false},
		{"no JSON", "wav.a", "{", nil, false, false},
		{"another task's", "wav.a", `{"type":"wav","task_id":"b"}`, nil, false, false},
		{"another type's", "wav.a", `{"type":"music","task_id":"a"}`, nil, false, false},
		{"not escaped", "wav.a.b", `{"type":"wav","task_id":"a.b"}`, nil, false, false},
	} {
		msg := &nats.Msg{Subject: "$KV.RESULTS." + row.key, Header: row.header, Data: []byte(row.value)}
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		got := next(t, d)
		doc, found, err := got.Result()
		if (err == nil) != row.ok || found != row.found || got.MessageID != row.key {
			t.Errorf("%s: %+v, %v, %v", row.name, doc, found, err)
		}
		if !found && !reflect.DeepEqual(doc, result.Document{}) {
			t.Errorf("%s: a document all the same: %+v", row.name, doc)
		}
		if err := got.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
