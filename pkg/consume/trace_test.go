package consume_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"fanfare/pkg/broker"
	"fanfare/pkg/consume"
	"fanfare/pkg/eventually"
	"fanfare/pkg/media"
	"fanfare/pkg/natsd/natstest"
)

// traced returns a provisioned broker that makes spans, and what has those that ended.
func traced(tb testing.TB) (*broker.Broker, *tracetest.InMemoryExporter) {
	tb.Helper()
	server := natstest.Start(tb, tb.TempDir(), "")
	natstest.Provisioned(tb, server)
	return natstest.Traced(tb, server)
}

// processed waits for the first delivery's span, and returns its attributes as text.
func processed(tb testing.TB, ended *tracetest.InMemoryExporter) (span tracetest.SpanStub, attributes map[string]string) {
	tb.Helper()
	eventually.Await(tb, "the span of a delivery ended", func() bool {
		for _, one := range ended.GetSpans() {
			if strings.HasPrefix(one.Name, "process ") {
				span = one
				return true
			}
		}
		return false
	})
	attributes = make(map[string]string)
	for _, a := range span.Attributes {
		attributes[string(a.Key)] = a.Value.String()
	}
	return span, attributes
}

func TestSpanOfADeliverySaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err                      error
		giveUp                   time.Duration
		verdict, reason, trouble string
	}{
		"ack":       {nil, 0, "ack", "", ""},
		"retry":     {errors.New("a secret"), 0, "retry", "", "_OTHER"},
		"gave up":   {errors.New("a secret"), time.Nanosecond, "dead_letter", "gave_up", "_OTHER"},
		"permanent": {consume.Permanent(errors.New("a secret")), 0, "dead_letter", "permanent", "_OTHER"},
		"download":  {fmt.Errorf("store: %w", &media.FetchError{URL: "https://a.secret/", Reason: media.ReasonTooSlow}), 0, "retry", "", "too_slow"},
		"archive":   {fmt.Errorf("store a secret: %w", media.ErrArchive), 0, "retry", "", "unwritable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ended := traced(t)
			run(t, consume.Options{
				Broker: b, Contract: contract(t, "wav"), GiveUp: test.giveUp,
				Handler: func(context.Context, consume.Delivery) error { return test.err },
			})
			publish(t, b, "wav", failedWAV(1), time.Now())
			span, said := processed(t, ended)
			if said["fanfare.verdict"] != test.verdict || said["fanfare.reason"] != test.reason || said["error.type"] != test.trouble {
				t.Errorf("the span says %v", said)
			}
			if failed := span.Status.Code == codes.Error; failed != (test.trouble != "") {
				t.Errorf("its status is %+v", span.Status)
			}
			if len(span.Events) != 0 || strings.Contains(span.Status.Description, "secret") {
				t.Errorf("it tells more than the kind: %+v", span)
			}
		})
	}
}
