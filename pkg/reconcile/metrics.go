package reconcile

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"fanfare/pkg/callback"
	"fanfare/pkg/provider"
)

type metrics struct {
	polls *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, types []callback.Type) *metrics {
	m := &metrics{polls: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "fanfare_polls_total",
		Help: "Questions to the provider about overdue tasks, by what came of them.",
	}, []string{"type", "outcome"})}
	for _, t := range types {
		for _, o := range provider.Outcomes() {
			m.polls.WithLabelValues(string(t), string(o)) // so that a first one is seen as an increase
		}
	}
	return m
}
