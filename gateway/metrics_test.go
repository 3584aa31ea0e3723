package gateway_test

import (
	"strings"
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

func TestMetricsCountByTypeStageAndResult(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	r.post("/callbacks/wav", []byte(goodWAV))
	r.post("/callbacks/wav", []byte(goodWAV))
	r.post("/callbacks/wav", []byte(`{}`))
	r.post("/callbacks/nonsense", []byte(goodWAV))
	want := `
# HELP fanfare_callbacks_total Requests to the gateway, by type, stage and result.
# TYPE fanfare_callbacks_total counter
fanfare_callbacks_total{result="duplicate",stage="complete",type="wav"} 1
fanfare_callbacks_total{result="rejected",stage="none",type="none"} 1
fanfare_callbacks_total{result="rejected",stage="none",type="wav"} 1
fanfare_callbacks_total{result="stored",stage="complete",type="wav"} 1
`
	if err := testutil.GatherAndCompare(r.registry, strings.NewReader(want), "fanfare_callbacks_total"); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(r.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
