package consume

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/trace"

	"fanfare/pkg/media"
	"fanfare/pkg/result"
)

// none is the label value of what does not apply.
const none = "none"

type runnerMetrics struct {
	deliveries *prometheus.CounterVec
	duration   prometheus.Histogram
	refused    prometheus.Counter
}

func newRunnerMetrics(reg prometheus.Registerer) *runnerMetrics {
	factory := promauto.With(reg)
	m := &runnerMetrics{
		deliveries: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fanfare_deliveries_total",
			Help: "Messages delivered to a handler, by verdict (ack, retry, dead_letter).",
		}, []string{"verdict"}),
		duration: factory.NewHistogram(histogram(
			"fanfare_handle_duration_seconds",
			"Time from a delivery to its settlement.",
			.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300)),
	}
	m.refused = factory.NewCounter(prometheus.CounterOpts{
		Name: "fanfare_dead_letters_refused_total",
		Help: "Dead letters that could not be stored, as when DEAD_LETTERS is full: their messages are retried instead.",
	})
	for _, v := range []verdict{verdictAck, verdictRetry, verdictDeadLetter} {
		m.deliveries.WithLabelValues(string(v)) // so that a first one is seen as an increase
	}
	return m
}

// registerHeld exposes how many deliveries are held.
func registerHeld(reg prometheus.Registerer, p *progress) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fanfare_deliveries_held",
		Help: "Deliveries in hand that are held because the archive or the results cannot be written.",
	}, func() float64 { return float64(p.held.Load()) })
}

type archiverMetrics struct {
	results      *prometheus.CounterVec
	origins      *prometheus.CounterVec
	bytes, files prometheus.Counter
	failures     *prometheus.CounterVec
	taskDuration prometheus.Histogram
}

func newArchiverMetrics(reg prometheus.Registerer) *archiverMetrics {
	factory := promauto.With(reg)
	m := &archiverMetrics{
		results: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fanfare_results_total",
			Help: "Task states recorded, by outcome (progress, succeeded, failed) and reason of failure.",
		}, []string{"outcome", "reason"}),
		origins: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fanfare_results_by_origin_total",
			Help: "Final task states recorded, by how they were learned (callback, poll).",
		}, []string{"origin"}),
		bytes: factory.NewCounter(prometheus.CounterOpts{
			Name: "fanfare_archive_bytes_total",
			Help: "Bytes of media put into the archive.",
		}),
		files: factory.NewCounter(prometheus.CounterOpts{
			Name: "fanfare_archive_files_total",
			Help: "Media files put into the archive.",
		}),
		failures: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fanfare_fetch_failures_total",
			Help: "Downloads that failed, by reason.",
		}, []string{"reason"}),
		taskDuration: factory.NewHistogram(histogram(
			"fanfare_task_duration_seconds",
			"Time from a task's first callback to its final one, for tasks that report stages.",
			1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600)),
	}
	for _, reason := range media.Reasons() {
		m.failures.WithLabelValues(string(reason))
	}
	for _, reason := range result.Reasons() {
		if reason != result.NeverReported { // which no consumer finds out
			m.results.WithLabelValues(string(result.Failed), string(reason))
		}
	}
	for _, polled := range []bool{false, true} {
		m.origins.WithLabelValues(origin(polled))
	}
	m.results.WithLabelValues(string(result.Progress), none)
	m.results.WithLabelValues(string(result.Succeeded), none)
	return m
}

// origin is how a callback was learned.
func origin(polled bool) string {
	if polled {
		return "poll"
	}
	return "callback"
}

func (m *archiverMetrics) failed(e *media.FetchError) {
	m.failures.WithLabelValues(string(e.Reason)).Inc()
}

// observe observes a time, with the trace that it is an example of, if there is one.
func observe(ctx context.Context, h prometheus.Histogram, took time.Duration) {
	span := trace.SpanContextFromContext(ctx)
	if e, ok := h.(prometheus.ExemplarObserver); ok && span.IsSampled() {
		e.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": span.TraceID().String()})
		return
	}
	h.Observe(took.Seconds())
}

func histogram(name, help string, buckets ...float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name:                            name,
		Help:                            help,
		Buckets:                         buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

// RegisterArchive exposes how much the archive can still hold, where it knows.
func RegisterArchive(reg prometheus.Registerer, archive *media.Archive) {
	if _, ok := archive.FreeBytes(); !ok {
		return
	}
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fanfare_archive_free_bytes",
		Help: "Bytes that can still be written where the archive lies.",
	}, func() float64 {
		free, _ := archive.FreeBytes()
		return float64(free)
	})
}
