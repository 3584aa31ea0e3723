package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
)

func TestChangedStreamIsReportedAndLeftAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*jetstream.StreamConfig)
		want   string
	}{
		{"subjects", func(c *jetstream.StreamConfig) { c.Subjects = []string{"callbacks.>"} }, "subjects is [callbacks.>], fanfare would set [callbacks.> redeliver.>]"},
		{"discard", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard is DiscardOld, fanfare would set DiscardNew"},
		{"max age", func(c *jetstream.StreamConfig) { c.MaxAge = 48 * time.Hour }, "max_age is 48h0m0s, fanfare would set 168h0m0s"},
		{"max bytes", func(c *jetstream.StreamConfig) { c.MaxBytes = 70 << 20 }, "max_bytes is 73400320, fanfare would set 62914560"},
		{"max messages", func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 }, "max_msgs is 5, fanfare would set -1"},
		{"max messages per subject", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "max_msgs_per_subject is 1, fanfare would set -1"},
		{"max message size", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }, "max_msg_size is 1000, fanfare would set -1"},
		{"duplicate window", func(c *jetstream.StreamConfig) { c.Duplicates = time.Hour }, "duplicate_window is 1h0m0s, fanfare would set 24h0m0s"},
		{"direct get", func(c *jetstream.StreamConfig) { c.AllowDirect = false }, "allow_direct is false, fanfare would set true"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b, js := provisionTwoTypes(t)
			config := streamConfig(t, js, "CALLBACKS")
			row.change(&config)
			if _, err := js.UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second finds what the first did not touch
				provision(t, b, plan(), "stream CALLBACKS: "+row.want)
			}
		})
	}
}

// What cannot be changed may still have been created in another way.
func TestStreamCreatedInAnotherWayIsReported(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	config := streamConfig(t, js, "QUARANTINE")
	if err := js.DeleteStream(t.Context(), "QUARANTINE"); err != nil {
		t.Fatal(err)
	}
	config.Storage, config.Retention = jetstream.MemoryStorage, jetstream.WorkQueuePolicy
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	provision(t, b, plan(),
		"stream QUARANTINE: storage is Memory, fanfare would set File",
		"stream QUARANTINE: retention is WorkQueue, fanfare would set Limits")
}

func TestChangedBucketIsReportedAndLeftAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*jetstream.StreamConfig)
		want   string
	}{
		{"history", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 3 }, "max_msgs_per_subject is 3, fanfare would set 8"},
		{"max age", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "max_age is 1h0m0s, fanfare would set 2160h0m0s"},
		{"max bytes", func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }, "max_bytes is 1048576, fanfare would set 10485760"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b, js := provisionTwoTypes(t)
			config := streamConfig(t, js, "KV_RESULTS")
			row.change(&config)
			if _, err := js.UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				provision(t, b, plan(), "stream KV_RESULTS: "+row.want)
			}
		})
	}
}

// What an earlier release provisioned goes on as it is, and can be brought up to date.
func TestStreamsThatMayBeEmptiedAreReportedAndWork(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	var want []string
	var upToDate []jetstream.StreamConfig
	for _, name := range []string{"CALLBACKS", "DEAD_LETTERS", "QUARANTINE", "TASKS", "KV_RESULTS", "KV_TASKS_STATE"} {
		config := streamConfig(t, js, name)
		upToDate = append(upToDate, config)
		if strings.HasPrefix(name, "KV_") {
			config.AllowRollup = true
			want = append(want, "stream "+name+": allow_rollup_hdrs is true, fanfare would set false")
		} else if config.DenyDelete {
			config.DenyDelete = false
			want = append(want, "stream "+name+": deny_delete is false, fanfare would set true")
		}
		config.DenyPurge = false
		want = append(want, "stream "+name+": deny_purge is false, fanfare would set true")
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		provision(t, b, plan(), want...)
	}
	publish(t, b, wav("t"))
	merge(t, b.Results(), document(wav("t")))
	for _, config := range upToDate {
		if _, err := js.UpdateStream(t.Context(), config); err != nil {
			t.Error(err)
		}
	}
	provision(t, b, plan())
	if _, found := get(t, b.Results(), "wav", "t"); !found || messages(t, js, "CALLBACKS") != 1 {
		t.Error("what was stored is gone")
	}
}

func TestChangedDurableIsReportedAndLeftAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*jetstream.ConsumerConfig)
		want   string
	}{
		{
			"filters", func(c *jetstream.ConsumerConfig) {
				c.FilterSubjects = []string{"callbacks.wav.complete", "redeliver.wav.>"}
			},
			"filter_subjects is [callbacks.wav.complete redeliver.wav.>], fanfare would set [callbacks.wav.> redeliver.wav.>]",
		},
		{"ack wait", func(c *jetstream.ConsumerConfig) { c.AckWait = 5 * time.Second }, "ack_wait is 5s, fanfare would set 1m0s"},
		{"max deliver", func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }, "max_deliver is 5, fanfare would set -1"},
		{"max ack pending", func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 1 }, "max_ack_pending is 1, fanfare would set 20000"},
		{"headers only", func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }, "headers_only is true, fanfare would set false"},
		{"inactive threshold", func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }, "inactive_threshold is 1h0m0s, fanfare would set 0s"},
		{"backoff", func(c *jetstream.ConsumerConfig) { c.BackOff = []time.Duration{time.Minute} }, "backoff is [1m0s], fanfare would set []"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b, js := provisionTwoTypes(t)
			config := durableConfig(t, js, "wav")
			row.change(&config)
			if _, err := js.UpdateConsumer(t.Context(), "CALLBACKS", config); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				provision(t, b, plan(), "durable wav: "+row.want)
			}
		})
	}
}

func TestPausedDurableIsReportedAndLeftAlone(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	if _, err := js.PauseConsumer(t.Context(), "CALLBACKS", "wav", until); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		drifts, err := b.Provision(t.Context(), plan())
		if err != nil || len(drifts) != 1 || drifts[0].Object != "durable wav" || drifts[0].Setting != "pause_until" {
			t.Errorf("drifts %+v, %v", drifts, err)
		}
	}
}

func TestDurableCreatedInAnotherWayIsReported(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	if err := js.DeleteConsumer(t.Context(), "CALLBACKS", "music"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(t.Context(), "CALLBACKS", jetstream.ConsumerConfig{
		Durable: "music", FilterSubject: "callbacks.music.>", AckPolicy: jetstream.AckAllPolicy, AckWait: time.Minute, MaxDeliver: -1, MaxAckPending: 20_000,
		DeliverPolicy: jetstream.DeliverNewPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	provision(t, b, plan(),
		"durable music: filter_subjects is [], fanfare would set [callbacks.music.> redeliver.music.>]",
		"durable music: ack_policy is AckAll, fanfare would set AckExplicit",
		"durable music: deliver_policy is new, fanfare would set all")
}

func TestChangedPlanIsReportedForEveryObject(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	p := plan()
	p.StoreMaxBytes = 200 << 20
	provision(t, b, p,
		"stream CALLBACKS: max_bytes is 62914560, fanfare would set 125829120",
		"stream DEAD_LETTERS: max_bytes is 15728640, fanfare would set 31457280",
		"stream QUARANTINE: max_bytes is 10485760, fanfare would set 20971520",
		"stream TASKS: max_bytes is 1048576, fanfare would set 2097152",
		"stream KV_RESULTS: max_bytes is 10485760, fanfare would set 20971520",
		"stream KV_TASKS_STATE: max_bytes is 3145728, fanfare would set 6291456")
	if got := streamConfig(t, js, "CALLBACKS").MaxBytes; got != 60<<20 {
		t.Errorf("max_bytes became %d", got)
	}
	p = plan()
	p.Replicas = 3
	provision(t, b, p,
		"stream CALLBACKS: num_replicas is 1, fanfare would set 3",
		"stream DEAD_LETTERS: num_replicas is 1, fanfare would set 3",
		"stream QUARANTINE: num_replicas is 1, fanfare would set 3",
		"stream TASKS: num_replicas is 1, fanfare would set 3",
		"stream KV_RESULTS: num_replicas is 1, fanfare would set 3",
		"stream KV_TASKS_STATE: num_replicas is 1, fanfare would set 3")
}

func TestDriftNamesItsParts(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	config := streamConfig(t, js, "DEAD_LETTERS")
	config.MaxAge = time.Hour
	config.Duplicates = time.Hour
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	drifts, err := b.Provision(t.Context(), plan())
	want := []broker.Drift{
		{Object: "stream DEAD_LETTERS", Setting: "max_age", Is: "1h0m0s", Want: "720h0m0s"},
		{Object: "stream DEAD_LETTERS", Setting: "duplicate_window", Is: "1h0m0s", Want: "24h0m0s"},
	}
	if err != nil || len(drifts) != 2 || drifts[0] != want[0] || drifts[1] != want[1] {
		t.Errorf("%+v, %v, want %+v", drifts, err, want)
	}
}
