package reconcile

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"fanfare/pkg/callback"
	"fanfare/pkg/provider"
)

type metrics struct {
	polls   *prometheus.CounterVec
	givenUp *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, types []callback.Type) *metrics {
	factory := promauto.With(reg)
	m := &metrics{
		polls: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fanfare_polls_total",
			Help: "Questions to the provider about overdue tasks, by what came of them.",
		}, []string{"type", "outcome"}),
		givenUp: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fanfare_tasks_given_up_total",
			Help: "Tasks of which nothing could be learned in time.",
		}, []string{"type"}),
	}
	for _, t := range types {
		m.givenUp.WithLabelValues(string(t))
		for _, o := range provider.Outcomes() {
			m.polls.WithLabelValues(string(t), string(o)) // so that a first one is seen as an increase
		}
	}
	return m
}
