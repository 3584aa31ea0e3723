package gateway_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fanfare/gateway"
	"fanfare/pkg/natsd/natstest"
)

// gauge returns the value of a metric without labels.
func (r *rig) gauge(name string) float64 {
	r.tb.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	r.tb.Fatalf("no metric %s", name)
	return 0
}

// callbacks returns one series of fanfare_callbacks_total, or -1 without it.
func (r *rig) callbacks(typ, stage, result string) float64 {
	r.tb.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := make(map[string]string)
			for _, pair := range m.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			if family.GetName() == "fanfare_callbacks_total" && labels["type"] == typ && labels["stage"] == stage && labels["result"] == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func TestMetricsCountByTypeStageAndResult(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	r.post("/callbacks/wav", []byte(goodWAV))
	r.post("/callbacks/wav", []byte(goodWAV))
	r.post("/callbacks/wav", []byte(`{}`))
	r.post("/callbacks/nonsense", []byte(goodWAV))
	for _, series := range []struct {
		typ, stage, result string
		want               float64
	}{
		{"wav", "complete", "stored", 1},
		{"wav", "complete", "duplicate", 1},
		{"wav", "complete", "unavailable", 0},
		{"wav", "error", "stored", 0},
		{"wav", "none", "quarantined", 1},
		{"wav", "none", "rejected", 0},
		{"none", "none", "rejected", 1},
		{"music", "first", "stored", 0},
	} {
		if got := r.callbacks(series.typ, series.stage, series.result); got != series.want {
			t.Errorf("%s, %s, %s: counted %v, want %v", series.typ, series.stage, series.result, got, series.want)
		}
	}
	problems, err := testutil.GatherAndLint(r.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// observed returns how many durations are observed of each type that has any.
func (r *rig) observed() map[string]uint64 {
	r.tb.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.tb.Fatal(err)
	}
	counts := make(map[string]uint64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if n := m.GetHistogram().GetSampleCount(); family.GetName() == "fanfare_callback_duration_seconds" && n > 0 {
				counts[m.GetLabel()[0].GetValue()] = n
			}
		}
	}
	return counts
}

// What is refused at its head or for want of a body is quick, or as slow as its sender,
// and would say nothing of how long callbacks take.
func TestDurationIsObservedOfCallbacksOnly(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t), withKeys(secretFile(t, vectorKey)))
	now := func(id string) (header string) {
		timestamp := fmt.Sprint(time.Now().Unix())
		return signed(timestamp, sign(vectorKey, id, timestamp))
	}
	for _, refused := range []sent{
		{name: "unknown path", path: "/nope", body: goodWAV, want: 404},
		{name: "wrong method", method: "GET", want: 405},
		{name: "media type", header: "Content-Type: text/plain\r\n", body: goodWAV, want: 415},
		{name: "not signed", body: goodWAV, want: 401},
		{name: "no task ID", header: now("t1"), body: `{"data":{}}`, want: 400},
		{name: "wrongly signed", header: now("another"), body: goodWAV, want: 401},
	} {
		if a := r.exchange(refused.raw(), refused.method); a.status != refused.want {
			t.Errorf("%s: answered %d, want %d", refused.name, a.status, refused.want)
		}
	}
	if counts := r.observed(); len(counts) > 0 {
		t.Errorf("refusals were observed: %v", counts)
	}
	for _, observed := range []sent{
		{name: "stored", body: goodWAV, want: 200},
		{name: "duplicate", body: goodWAV, want: 200},
		{name: "conflict", body: strings.Replace(goodWAV, "https://", "https://other.", 1), want: 200},
		{name: "quarantined", body: `{"code":200,"msg":"","data":{"task_id":"t1"}}`, want: 400},
	} {
		observed.header = now("t1")
		if a := r.exchange(observed.raw(), observed.method); a.status != observed.want {
			t.Errorf("%s: answered %d, want %d", observed.name, a.status, observed.want)
		}
	}
	if counts := r.observed(); !maps.Equal(counts, map[string]uint64{"wav": 4}) {
		t.Errorf("observed were %v, want 4 of type wav", counts)
	}
}

func TestDurationIsObservedOfWhatCouldNotBeStored(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	r := start(t, b)
	b.Close()
	if a := r.post("/callbacks/wav", []byte(goodWAV)); a.status != 503 {
		t.Errorf("answered %d", a.status)
	}
	if counts := r.observed(); !maps.Equal(counts, map[string]uint64{"wav": 1}) {
		t.Errorf("observed were %v", counts)
	}
}

// The token is one of the mechanisms that show that a request is the provider's, and the
// type is that of the path, whatever stands behind it.
func TestARequestWithoutTheTokenIsNotAuthenticated(t *testing.T) {
	t.Parallel()
	const token = "Zm9yIHRoZSBwcm92aWRlciBhbG9uZQ"
	var log strings.Builder
	r := start(t, natstest.Broker(t), func(o *gateway.Options) {
		o.URLTokenFiles = []string{secretFile(t, token)}
		o.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	})
	paths := []string{"", "/", "/wrong", "/" + token + "/", "/" + token + "/more", "//" + token, "?" + token}
	for _, path := range paths {
		if a := r.post("/callbacks/wav"+path, []byte(goodWAV)); a.status != 404 {
			t.Errorf("%q: answered %d", path, a.status)
		}
	}
	if got := r.callbacks("wav", "none", "unauthenticated"); got != float64(len(paths)) {
		t.Errorf("%v of %d counted", got, len(paths))
	}
	for _, path := range []string{"/callbacks/wavy/" + token, "/callbacks/" + token, "/callbacks"} {
		r.post(path, []byte(goodWAV))
	}
	if got := r.callbacks("none", "none", "rejected"); got != 3 {
		t.Errorf("%v of 3 counted whose path has no type", got)
	}
	if counts := r.observed(); len(counts) > 0 {
		t.Errorf("observed: %v", counts)
	}
	r.stop()
	lines := slices.Collect(strings.Lines(log.String()))
	if len(lines) != len(paths) || !strings.Contains(lines[0], `"type":"wav","result":"unauthenticated","http_status":404`) || !strings.Contains(lines[0], "token") {
		t.Errorf("logged:\n%s", log.String())
	}
	if strings.Contains(log.String(), token) {
		t.Error("the log has the token")
	}
}
