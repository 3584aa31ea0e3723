package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// ofStreams is how many gauges tell of the streams.
const ofStreams = 6 * 5

// gather returns every value by its name and label.
func gather(tb testing.TB, c prometheus.Collector) map[string]float64 {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "fanfare_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			values[name] = m.GetGauge().GetValue()
		}
	}
	return values
}

func TestCollectorSaysHowThingsStand(t *testing.T) {
	t.Parallel()
	b, js := provisionTwoTypes(t)
	d := durable(t, b, "wav")
	publish(t, b, wav("done"))
	if err := next(t, d).Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, b, wav("out twice"))
	if err := next(t, d).Retry(0); err != nil {
		t.Fatal(err)
	}
	next(t, d)
	publish(t, b, wav("out"))
	next(t, d)
	publish(t, b, wav("waits"))
	published := time.Now()
	merge(t, b.Results(), document(wav("a")))
	c := b.Collector([]callback.Type{"wav", "music"})
	want := map[string]float64{
		"stream_replicas stream=CALLBACKS":            1,
		"stream_replicas stream=DEAD_LETTERS":         1,
		"stream_replicas stream=QUARANTINE":           1,
		"stream_replicas stream=RESULTS":              1,
		"stream_replicas stream=TASKS":                1,
		"stream_replicas stream=TASKS_STATE":          1,
		"stream_replicas_current stream=CALLBACKS":    1,
		"stream_replicas_current stream=DEAD_LETTERS": 1,
		"stream_replicas_current stream=QUARANTINE":   1,
		"stream_replicas_current stream=RESULTS":      1,
		"stream_replicas_current stream=TASKS":        1,
		"stream_replicas_current stream=TASKS_STATE":  1,

		"broker_connected":                     1,
		"stream_messages stream=CALLBACKS":     4,
		"stream_messages stream=DEAD_LETTERS":  0,
		"stream_messages stream=QUARANTINE":    0,
		"stream_messages stream=RESULTS":       1,
		"stream_max_bytes stream=CALLBACKS":    60 << 20,
		"stream_max_bytes stream=DEAD_LETTERS": 15 << 20,
		"stream_max_bytes stream=QUARANTINE":   10 << 20,
		"stream_max_bytes stream=RESULTS":      10 << 20,
		"stream_bytes stream=CALLBACKS":        float64(bytesOf(t, js, "CALLBACKS")),
		"stream_bytes stream=DEAD_LETTERS":     0,
		"stream_bytes stream=QUARANTINE":       0,
		"stream_bytes stream=RESULTS":          float64(bytesOf(t, js, "KV_RESULTS")),
		"stream_messages stream=TASKS":         0,
		"stream_messages stream=TASKS_STATE":   0,
		"stream_max_bytes stream=TASKS":        1 << 20,
		"stream_max_bytes stream=TASKS_STATE":  3 << 20,
		"stream_bytes stream=TASKS":            0,
		"stream_bytes stream=TASKS_STATE":      0,
		"consumer_pending type=wav":            1,
		"consumer_pending type=music":          0,
		"consumer_ack_pending type=wav":        2,
		"consumer_ack_pending type=music":      0,
		"consumer_redelivered type=wav":        1,
		"consumer_redelivered type=music":      0,
	}
	var got map[string]float64
	eventually.Await(t, "the message that waits is counted", func() bool { // the server's counts lag behind a publish
		got = gather(t, c)
		return got["consumer_pending type=wav"] == 1
	})
	oldest, none := got["consumer_oldest_pending_seconds type=wav"], got["consumer_oldest_pending_seconds type=music"]
	if age := time.Since(published).Seconds(); oldest <= 0 || oldest > age+moment.Seconds() || none != 0 {
		t.Errorf("the oldest message is %v s old, of another type %v s", oldest, none)
	}
	delete(got, "consumer_oldest_pending_seconds type=wav")
	delete(got, "consumer_oldest_pending_seconds type=music")
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("metrics\n  %v\nwant\n  %v", got, want)
	}
	if got["stream_bytes stream=CALLBACKS"] < 4*100 {
		t.Error("the stream takes no room")
	}
}

// bytesOf is what a stream takes.
func bytesOf(tb testing.TB, js jetstream.JetStream, name string) uint64 {
	tb.Helper()
	stream, err := js.Stream(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return stream.CachedInfo().State.Bytes
}

func TestCollectorOfNoTypesTellsOfTheStreams(t *testing.T) {
	t.Parallel()
	b, _ := provisionTwoTypes(t)
	if got := gather(t, b.Collector(nil)); len(got) != ofStreams+1 || got["broker_connected"] != 1 {
		t.Errorf("metrics %v", got)
	}
}

func TestCollectorIsWellFormed(t *testing.T) {
	t.Parallel()
	b, _ := provisionTwoTypes(t)
	c := b.Collector([]callback.Type{"wav"})
	problems, err := testutil.CollectAndLint(c)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	descs := make(chan *prometheus.Desc, 100)
	c.Describe(descs)
	if len(descs) != 11 {
		t.Errorf("%d descriptions", len(descs))
	}
}

func TestCollectorSaysThatTheServerIsGone(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	server.Stop()
	eventually.Await(t, "disconnected", func() bool { return !b.Connected() })
	begun := time.Now()
	got := gather(t, b.Collector([]callback.Type{"wav"}))
	if connected, ok := got["broker_connected"]; !ok || connected != 0 || len(got) != 1 {
		t.Errorf("metrics %v", got)
	}
	if took := time.Since(begun); took > patience/10 {
		t.Errorf("took %s", took)
	}
}

func TestCollectorOfAServerWithoutStreamsTellsWhatItCan(t *testing.T) {
	t.Parallel()
	log, said := logger()
	b, err := broker.Connect(broker.Options{Logger: log, InProcess: natstest.Start(t, t.TempDir(), "")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := gather(t, b.Collector([]callback.Type{"wav"})); len(got) != 1 || got["broker_connected"] != 1 {
		t.Errorf("metrics %v", got)
	}
	if lines := strings.Count(said.String(), `"msg":"not measured"`); lines != 1 || !strings.Contains(said.String(), `"stream CALLBACKS":"`) || !strings.Contains(said.String(), `"durable wav":"`) {
		t.Errorf("log says %s", said)
	}
}

func TestCollectorTellsOfTheDurablesThatThereAre(t *testing.T) {
	t.Parallel()
	b, _ := provisionTwoTypes(t)
	if got := gather(t, b.Collector([]callback.Type{"lyrics", "wav"})); len(got) != ofStreams+1+4 {
		t.Errorf("metrics %v", got)
	}
}

// A stream that is missing, or of which nobody answers, takes nothing else with it.
func TestCollectorTellsOfTheStreamsThatThereAre(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	way, js := newLossy(server), natstest.JetStream(t, server)
	b := natstest.Provisioned(t, way)
	check := func(what, stream string) {
		t.Helper()
		begun := time.Now()
		got := gather(t, b.Collector([]callback.Type{"wav", "music"}))
		if _, measured := got["stream_messages stream="+stream]; measured || len(got) != ofStreams/6*5+1+2*4 {
			t.Errorf("%s: metrics %v", what, got)
		}
		if took := time.Since(begun); took > 4500*time.Millisecond {
			t.Errorf("%s: took %s", what, took)
		}
	}
	way.mute(t, js.Conn(), "$JS.API.STREAM.INFO.QUARANTINE")
	check("silent", "QUARANTINE")
	way.mute(t, js.Conn(), "")
	if err := js.DeleteStream(t.Context(), "QUARANTINE"); err != nil {
		t.Fatal(err)
	}
	check("missing", "QUARANTINE")
}

func TestCollectorTellsWhenTheServersCertificateEnds(t *testing.T) {
	t.Parallel()
	way := newEncrypted(t, natstest.Start(t, t.TempDir(), ""), time.Unix(4102444800, 0))
	got := gather(t, natstest.Provisioned(t, way).Collector(nil))
	if at := got["broker_certificate_not_after_seconds"]; at != 4102444800 {
		t.Errorf("it ends at %v: metrics %v", at, got)
	}
}

func TestScrapeOfAServerThatHangsIsBounded(t *testing.T) {
	t.Parallel()
	way := newLossy(natstest.Start(t, t.TempDir(), ""))
	b := natstest.Provisioned(t, way)
	way.hang(t)
	begun := time.Now()
	got := gather(t, b.Collector([]callback.Type{"wav", "music"}))
	if took := time.Since(begun); took > 4500*time.Millisecond {
		t.Errorf("took %s", took)
	}
	if len(got) != 1 || got["broker_connected"] != 1 {
		t.Errorf("metrics %v", got)
	}
}
