package reconcile_test

import (
	"testing"

	"go.opentelemetry.io/otel/codes"

	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/natsd/natstest"
)

// TestSpanOfADeliverySaysWhatBecameOfIt looks at a task that waits, which is no trouble, at a callback that is noted,
// and at an announcement of nothing.
func TestSpanOfADeliverySaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	natstest.Provisioned(t, server)
	b, ended := natstest.Traced(t, server)
	start(t, b, newDetails(t))
	announce(t, b, ledger.Announcement{TaskID: "t"})
	push(t, b, "wav", pushed("other"))
	if _, err := natstest.JetStream(t, server).Publish(t.Context(), "tasks.wav", []byte("nothing")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		span, verdict, trouble string
	}{
		{"process tasks.wav", "retry", ""},
		{"process callbacks.wav.complete", "ack", ""},
		{"process tasks.wav", "term", "_OTHER"},
	} {
		eventually.Await(t, want.span+": "+want.verdict, func() bool {
			for _, span := range ended.GetSpans() {
				said := make(map[string]string)
				for _, a := range span.Attributes {
					said[string(a.Key)] = a.Value.String()
				}
				if span.Name != want.span || said["fanfare.verdict"] != want.verdict {
					continue
				}
				if said["error.type"] != want.trouble || (span.Status.Code == codes.Error) != (want.trouble != "") {
					t.Errorf("%s: the span says %v, status %+v", want.verdict, said, span.Status)
				}
				return true
			}
			return false
		})
	}
}
