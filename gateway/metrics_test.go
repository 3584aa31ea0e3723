package gateway_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

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
