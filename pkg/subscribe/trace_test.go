package subscribe_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/subscribe"
)

func TestSpanOfADeliverySaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	natstest.Provisioned(t, server)
	b, ended := natstest.Traced(t, server)
	callbacks(t, subscribe.Options{Broker: b, Workers: 1}, "wav", func(_ context.Context, cb callback.Callback) error {
		return map[callback.TaskID]error{
			"task-term": subscribe.Permanent(errors.New("a secret")), "task-retry": errors.New("a secret"),
		}[cb.TaskID]
	})
	for verdict, trouble := range map[string]string{"ack": "", "term": "_OTHER", "retry": "_OTHER"} {
		publish(t, b, "wav", failed(verdict))
		eventually.Await(t, verdict+" is said", func() bool {
			for _, span := range ended.GetSpans() {
				said := make(map[string]string)
				for _, a := range span.Attributes {
					said[string(a.Key)] = a.Value.String()
				}
				if said["fanfare.verdict"] != verdict {
					continue
				}
				if said["error.type"] != trouble || (span.Status.Code == codes.Error) != (trouble != "") || strings.Contains(span.Status.Description, "secret") {
					t.Errorf("%s: the span says %v, status %+v", verdict, said, span.Status)
				}
				return true
			}
			return false
		})
	}
}
