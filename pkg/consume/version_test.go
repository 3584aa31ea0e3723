package consume_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fanfare/consumers/wav"
	"fanfare/pkg/natsd/natstest"
)

// A consumer that is not upgraded yet leaves a task whose result it cannot read to one
// that is: the callback comes again.
func TestResultOfANewerFormatIsLeftToANewerConsumer(t *testing.T) {
	t.Parallel()
	const newer = `{"version":2}`
	h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
	a := archive(t, wav.Spec(), h, 0)
	kv, err := natstest.JetStream(t, a.server).KeyValue(t.Context(), "RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "wav.t", newer); err != nil {
		t.Fatal(err)
	}
	publish(t, a.broker, "wav", wavComplete("t", h.URL+"/a.wav"), time.Now())
	eventually(t, "it is put off", func() bool {
		return testutil.CollectAndCompare(a.registry, strings.NewReader(`
			# HELP fanfare_deliveries_total Messages delivered to a handler, by verdict (ack, retry, dead_letter).
			# TYPE fanfare_deliveries_total counter
			fanfare_deliveries_total{type="wav",verdict="ack"} 0
			fanfare_deliveries_total{type="wav",verdict="dead_letter"} 0
			fanfare_deliveries_total{type="wav",verdict="retry"} 1
		`), "fanfare_deliveries_total") == nil
	})
	if entry, err := kv.Get(t.Context(), "wav.t"); err != nil || string(entry.Value()) != newer || h.asked("/a.wav") != 0 {
		t.Errorf("%v, %v, %d downloads", entry, err, h.asked("/a.wav"))
	}
}
