package consume_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"fanfare/consumers/wav"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// A consumer that is not upgraded yet leaves a task whose result it cannot read to one
// that is: the callback comes again, however old it is.
func TestResultOfANewerFormatIsLeftToANewerConsumer(t *testing.T) {
	t.Parallel()
	const newer = `{"version":2}`
	h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
	a := archive(t, wav.Spec(), h, time.Nanosecond)
	kv, err := natstest.JetStream(t, a.server).KeyValue(t.Context(), "RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "wav.t", newer); err != nil {
		t.Fatal(err)
	}
	publish(t, a.broker, "wav", wavComplete("t", h.URL+"/a.wav"), time.Now())
	isPutOff(t, a)
	if entry, err := kv.Get(t.Context(), "wav.t"); err != nil || string(entry.Value()) != newer || h.asked("/a.wav") != 0 {
		t.Errorf("%v, %v, %d downloads", entry, err, h.asked("/a.wav"))
	}
}

// isPutOff waits until one delivery has been retried, and no other thing happened.
func isPutOff(t *testing.T, a *archiving) {
	t.Helper()
	eventually.Await(t, "it is put off", func() bool {
		return testutil.CollectAndCompare(a.registry, strings.NewReader(`
			# HELP fanfare_deliveries_total Messages delivered to a handler, by verdict (ack, retry, dead_letter).
			# TYPE fanfare_deliveries_total counter
			fanfare_deliveries_total{type="wav",verdict="ack"} 0
			fanfare_deliveries_total{type="wav",verdict="dead_letter"} 0
			fanfare_deliveries_total{type="wav",verdict="retry"} 1
		`), "fanfare_deliveries_total") == nil
	})
}

// Nor does it take a callback of a newer format for one that it knows, or for none.
func TestCallbackOfANewerFormatIsLeftToANewerConsumer(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"ce-type": "fanfare.callback.v2.wav.complete", "ce-specversion": "2.0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
			a := archive(t, wav.Spec(), h, time.Nanosecond)
			msg := nats.NewMsg("callbacks.wav.complete")
			msg.Data = []byte(wavComplete("t", h.URL+"/a.wav"))
			msg.Header.Set(name, value)
			if _, err := natstest.JetStream(t, a.server).PublishMsg(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
			isPutOff(t, a)
			if n := h.asked("/a.wav"); n != 0 {
				t.Errorf("%d downloads", n)
			}
		})
	}
}
