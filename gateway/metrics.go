package gateway

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/trace"

	"fanfare/pkg/callback"
)

// none is the label value of what is not known.
const none = "none"

// result is what became of a callback, as a label value.
type result string

const (
	resultStored          result = "stored"
	resultDuplicate       result = "duplicate"
	resultConflict        result = "conflict"
	resultQuarantined     result = "quarantined"
	resultRejected        result = "rejected"
	resultUnauthenticated result = "unauthenticated"
	resultUnavailable     result = "unavailable"
)

// ofCallback reports whether the request was a callback, as far as anyone can tell:
// how long that took is what the provider waits for. What is refused is quick, or as
// slow as whoever sends it.
func (r result) ofCallback() bool { return r != resultRejected && r != resultUnauthenticated }

type metrics struct {
	callbacks *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	publish   prometheus.Histogram
	inFlight  prometheus.Gauge
	refused   prometheus.Counter
}

// newMetrics registers the metrics and creates the series of every answer that
// the contracts allow, so that a first one is seen as an increase.
func newMetrics(reg prometheus.Registerer, contracts callback.Contracts) *metrics {
	m := registerMetrics(reg)
	for t, contract := range contracts {
		for _, stage := range contract.Stages() {
			for _, r := range []result{resultStored, resultDuplicate, resultConflict, resultUnavailable} {
				m.callbacks.WithLabelValues(string(t), string(stage), string(r))
			}
		}
		for _, r := range []result{resultQuarantined, resultRejected, resultUnauthenticated, resultUnavailable} {
			m.callbacks.WithLabelValues(string(t), none, string(r))
		}
		m.duration.WithLabelValues(string(t))
	}
	m.callbacks.WithLabelValues(none, none, string(resultRejected))
	return m
}

func registerMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	return &metrics{
		callbacks: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fanfare_callbacks_total",
			Help: "Requests to the gateway, by type, stage and result.",
		}, []string{"type", "stage", "result"}),
		duration: factory.NewHistogramVec(latency(
			"fanfare_callback_duration_seconds",
			"Time from a callback's first byte to its answer; requests that are refused (rejected, unauthenticated) are none."), []string{"type"}),
		publish: factory.NewHistogram(latency(
			"fanfare_publish_duration_seconds",
			"Time from publishing a callback to its publish ack, or to giving up.")),
		inFlight: factory.NewGauge(prometheus.GaugeOpts{
			Name: "fanfare_http_requests_in_flight",
			Help: "Callbacks being received right now.",
		}),
		refused: factory.NewCounter(prometheus.CounterOpts{
			Name: "fanfare_connections_refused_total",
			Help: "Connections beyond the limit, told to come again or, with TLS, closed: what they would have sent is counted nowhere.",
		}),
	}
}

// latency resolves 1 ms to 10 s, the provider's deadline.
func latency(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name:                            name,
		Help:                            help,
		Buckets:                         []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 8, 10},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

func (m *metrics) observe(ctx context.Context, t callback.Type, o outcome, took time.Duration) {
	stage := string(o.callback.Stage)
	if stage == "" {
		stage = none
	}
	m.callbacks.WithLabelValues(string(t), stage, string(o.result)).Inc()
	if o.result.ofCallback() {
		observe(ctx, m.duration.WithLabelValues(string(t)), took)
	}
}

// observe observes a time, with the trace that it is an example of, if there is one.
func observe(ctx context.Context, o prometheus.Observer, took time.Duration) {
	span := trace.SpanContextFromContext(ctx)
	if e, ok := o.(prometheus.ExemplarObserver); ok && span.IsSampled() {
		e.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": span.TraceID().String()})
		return
	}
	o.Observe(took.Seconds())
}
