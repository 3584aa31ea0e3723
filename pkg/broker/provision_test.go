package broker_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

const day = 24 * time.Hour

// plan is small, and its shares are whole.
func plan() broker.Plan {
	return broker.Plan{Types: []callback.Type{"music", "wav"}, StoreMaxBytes: 100 << 20}
}

// provisionTwoTypes provisions a server of its own by plan.
func provisionTwoTypes(tb testing.TB) (*broker.Broker, jetstream.JetStream) {
	tb.Helper()
	server := natstest.Start(tb, tb.TempDir(), "")
	b := natstest.Connect(tb, server)
	provision(tb, b, plan())
	return b, natstest.JetStream(tb, server)
}

// provision provisions and expects drifts, as sentences.
func provision(tb testing.TB, b *broker.Broker, p broker.Plan, want ...string) {
	tb.Helper()
	drifts, err := b.Provision(tb.Context(), p)
	if err != nil {
		tb.Fatal(err)
	}
	var said []string
	for _, d := range drifts {
		said = append(said, d.String())
	}
	if !slices.Equal(said, want) {
		tb.Errorf("drifts:\n  %s\nwant:\n  %s", strings.Join(said, "\n  "), strings.Join(want, "\n  "))
	}
}

func streamConfig(tb testing.TB, js jetstream.JetStream, name string) jetstream.StreamConfig {
	tb.Helper()
	stream, err := js.Stream(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return stream.CachedInfo().Config
}

func durableConfig(tb testing.TB, js jetstream.JetStream, name string) jetstream.ConsumerConfig {
	tb.Helper()
	durable, err := js.Consumer(tb.Context(), "CALLBACKS", name)
	if err != nil {
		tb.Fatal(err)
	}
	return durable.CachedInfo().Config
}

func TestStreamsAreProvisionedExactly(t *testing.T) {
	t.Parallel()
	_, js := provisionTwoTypes(t)
	for _, want := range []jetstream.StreamConfig{
		{Name: "CALLBACKS", Subjects: []string{"callbacks.>", "redeliver.>"}, MaxBytes: 60 << 20, MaxAge: 7 * day, DenyDelete: true},
		{Name: "DEAD_LETTERS", Subjects: []string{"dead-letters.>"}, MaxBytes: 15 << 20, MaxAge: 30 * day},
		{Name: "QUARANTINE", Subjects: []string{"quarantine.>"}, MaxBytes: 10 << 20, MaxAge: 30 * day},
		{Name: "TASKS", Subjects: []string{"tasks.>"}, MaxBytes: 1 << 20, MaxAge: 30 * day, DenyDelete: true},
	} {
		want.Storage = jetstream.FileStorage
		want.Retention = jetstream.LimitsPolicy
		want.Discard = jetstream.DiscardNew
		want.Duplicates = day
		want.Replicas = 1
		want.AllowDirect, want.DenyPurge = true, true
		want.MaxMsgs, want.MaxConsumers, want.MaxMsgSize, want.MaxMsgsPerSubject = -1, -1, -1, -1
		is := streamConfig(t, js, want.Name)
		if is.Description == "" {
			t.Errorf("%s has no description", want.Name)
		}
		is.Description, is.Metadata = "", nil // the server's version
		if !reflect.DeepEqual(is, want) {
			t.Errorf("%s is %+v, want %+v", want.Name, is, want)
		}
	}
}

// A bucket is what JetStream's own client makes of it, except that nobody can empty it.
func TestBucketsAreProvisionedExactly(t *testing.T) {
	t.Parallel()
	_, js := provisionTwoTypes(t)
	theirs := natstest.JetStream(t, natstest.Start(t, t.TempDir(), ""))
	for _, bucket := range []jetstream.KeyValueConfig{
		{Bucket: "RESULTS", History: 8, TTL: 90 * day, MaxBytes: 10 << 20},
		{Bucket: "TASKS_STATE", History: 1, TTL: 30 * day, MaxBytes: 3 << 20},
	} {
		if _, err := theirs.CreateKeyValue(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
		is, want := streamConfig(t, js, "KV_"+bucket.Bucket), streamConfig(t, theirs, "KV_"+bucket.Bucket)
		if is.Description == "" {
			t.Errorf("%s has no description", is.Name)
		}
		is.Description, is.Metadata, want.Metadata = "", nil, nil // the server's version
		want.AllowRollup, want.DenyPurge = false, true
		if !reflect.DeepEqual(is, want) {
			t.Errorf("%s is %+v, want %+v", is.Name, is, want)
		}
	}
}

func TestNobodyEmptiesAStream(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	publish(t, b, wav("t"))
	merge(t, b.Results(), document(wav("t")))
	for _, name := range []string{"CALLBACKS", "DEAD_LETTERS", "QUARANTINE", "TASKS", "KV_RESULTS", "KV_TASKS_STATE"} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Purge(t.Context()); err == nil {
			t.Errorf("%s was purged", name)
		}
		if err := stream.DeleteMsg(t.Context(), 1); err == nil {
			t.Errorf("a message of %s was deleted", name)
		}
		roll := nats.NewMsg(strings.Replace(stream.CachedInfo().Config.Subjects[0], ">", "wav.u", 1))
		roll.Header.Set("Nats-Rollup", "all")
		if _, err := js.PublishMsg(t.Context(), roll); err == nil {
			t.Errorf("%s was rolled up", name)
		}
		config := stream.CachedInfo().Config
		config.DenyPurge = false
		if _, err := js.UpdateStream(t.Context(), config); err == nil {
			t.Errorf("%s may be purged again", name)
		}
	}
	if messages(t, js, "CALLBACKS") != 1 || messages(t, js, "KV_RESULTS") != 1 {
		t.Error("what was stored is gone")
	}
}

func TestDurablesAreProvisionedExactly(t *testing.T) {
	t.Parallel()
	_, js := provisionTwoTypes(t)
	var names []string
	stream, err := js.Stream(t.Context(), "CALLBACKS")
	if err != nil {
		t.Fatal(err)
	}
	list := stream.ConsumerNames(t.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	slices.Sort(names)
	if list.Err() != nil || !slices.Equal(names, []string{"music", "wav"}) {
		t.Errorf("durables %v, %v", names, list.Err())
	}
	for _, name := range names {
		is := durableConfig(t, js, name)
		want := jetstream.ConsumerConfig{
			Name:           name,
			Durable:        name,
			Description:    "The " + name + " consumer",
			FilterSubjects: []string{"callbacks." + name + ".>", "redeliver." + name + ".>"},
			DeliverPolicy:  jetstream.DeliverAllPolicy,
			AckPolicy:      jetstream.AckExplicitPolicy,
			AckWait:        time.Minute,
			MaxDeliver:     -1,
			MaxAckPending:  20_000,
			MaxWaiting:     512,
		}
		is.Metadata = nil // the server's version
		if !reflect.DeepEqual(is, want) {
			t.Errorf("%s is %+v, want %+v", name, is, want)
		}
	}
}

func TestStoreIsSharedWithoutBeingOverrun(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1 << 30, broker.MinStoreMaxBytes, 100_000_007, 128<<20 + 99} { // the first is all that the server has
		server := natstest.Start(t, t.TempDir(), "")
		b := natstest.Connect(t, server)
		provision(t, b, broker.Plan{Types: []callback.Type{"wav"}, StoreMaxBytes: size})
		var sum int64
		js := natstest.JetStream(t, server)
		for _, name := range []string{"CALLBACKS", "DEAD_LETTERS", "QUARANTINE", "TASKS", "KV_RESULTS", "KV_TASKS_STATE"} {
			sum += streamConfig(t, js, name).MaxBytes
		}
		if sum > size || sum < size*9/10 {
			t.Errorf("%d of %d bytes are given out", sum, size)
		}
	}
}

func TestStoreThatIsTooLargeForTheServerIsExplained(t *testing.T) {
	t.Parallel()
	b := natstest.Connect(t, natstest.Start(t, t.TempDir(), ""))
	p := plan()
	for _, p.StoreMaxBytes = range []int64{0, 2 << 30} {
		_, err := b.Provision(t.Context(), p)
		if err == nil {
			t.Fatal("provisioned")
		}
		for _, word := range []string{"stream CALLBACKS", "bytes", "insufficient storage"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %q does not say %q", err, word)
			}
		}
	}
	p.StoreMaxBytes = 0
	if _, err := b.Provision(t.Context(), p); err == nil || !strings.Contains(err.Error(), "5153960700") {
		t.Errorf("the default is not 60 %% of 8 GiB: %v", err)
	}
	provision(t, b, plan())
}

func TestReplicasNeedACluster(t *testing.T) {
	t.Parallel()
	b := natstest.Connect(t, natstest.Start(t, t.TempDir(), ""))
	p := plan()
	p.Replicas = 3
	if _, err := b.Provision(t.Context(), p); err == nil || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("the error is %v", err)
	}
}

func TestProvisioningAgainChangesNothing(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	publish(t, b, wav("t"))
	before := durableConfig(t, js, "wav")
	provision(t, b, plan())
	if n := messages(t, js, "CALLBACKS"); n != 1 {
		t.Errorf("%d messages", n)
	}
	if after := durableConfig(t, js, "wav"); !reflect.DeepEqual(before, after) {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestProvisioningAgainCreatesWhatIsMissing(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	if err := js.DeleteStream(t.Context(), "DEAD_LETTERS"); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteConsumer(t.Context(), "CALLBACKS", "wav"); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), "RESULTS"); err != nil {
		t.Fatal(err)
	}
	p := plan()
	p.Types = append(p.Types, "lyrics")
	provision(t, b, p)
	for _, name := range []string{"wav", "lyrics"} {
		durableConfig(t, js, name)
	}
	for _, name := range []string{"DEAD_LETTERS", "KV_RESULTS"} {
		streamConfig(t, js, name)
	}
}

func TestStoreThatIsTooSmallIsRefused(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Connect(t, server)
	p := plan()
	for _, p.StoreMaxBytes = range []int64{-1, 1, broker.MinStoreMaxBytes - 1} {
		if _, err := b.Provision(t.Context(), p); err == nil || !strings.Contains(err.Error(), "at least 67108864") {
			t.Errorf("a store of %d bytes: %v", p.StoreMaxBytes, err)
		}
	}
	for name := range natstest.JetStream(t, server).StreamNames(t.Context()).Name() {
		t.Errorf("stream %s was created", name)
	}
}

func TestPlanWithoutTypesIsRefused(t *testing.T) {
	t.Parallel()
	b := natstest.Connect(t, natstest.Start(t, t.TempDir(), ""))
	if _, err := b.Provision(t.Context(), broker.Plan{}); err == nil || !strings.Contains(err.Error(), "types") {
		t.Errorf("the error is %v", err)
	}
}

func TestStreamOfSomebodyElseOnOurSubjectsIsNamed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	if _, err := natstest.JetStream(t, server).CreateStream(t.Context(), jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"callbacks.>"}}); err != nil {
		t.Fatal(err)
	}
	_, err := natstest.Connect(t, server).Provision(t.Context(), plan())
	if err == nil || !strings.Contains(err.Error(), "CALLBACKS") || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("the error is %v", err)
	}
}

func TestProvisioningWithoutAServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), URL: "nats://127.0.0.1:1", Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Provision(ctx, plan()); err == nil {
		t.Error("provisioned")
	}
}
