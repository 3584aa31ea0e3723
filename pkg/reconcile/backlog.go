package reconcile

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/broker"
)

// scrapeWait bounds the questions about the durables for one scrape.
const scrapeWait = 3 * time.Second

// backlog tells Prometheus how much the durables have not delivered yet. It asks the
// server at every scrape and keeps nothing.
type backlog struct {
	logger   *slog.Logger
	broker   *broker.Broker
	durables map[string]*broker.Subscription // by stream
	pending  *prometheus.Desc
}

func newBacklog(logger *slog.Logger, b *broker.Broker, tasks, calls *broker.Subscription) *backlog {
	return &backlog{
		logger:   logger,
		broker:   b,
		durables: map[string]*broker.Subscription{broker.StreamTasks: tasks, broker.StreamCallbacks: calls},
		pending:  prometheus.NewDesc("fanfare_reconciler_pending", "Messages that the reconciler's durable on a stream has not delivered yet.", []string{"stream"}, nil),
	}
}

// Describe implements [prometheus.Collector].
func (b *backlog) Describe(descs chan<- *prometheus.Desc) { descs <- b.pending }

// Collect implements [prometheus.Collector].
func (b *backlog) Collect(metrics chan<- prometheus.Metric) {
	if !b.broker.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	var asking sync.WaitGroup
	for stream, durable := range b.durables {
		asking.Go(func() {
			pending, err := durable.Pending(ctx)
			if err != nil {
				b.logger.Warn("durable not measured", "stream", stream, "error", err)
				return
			}
			metrics <- prometheus.MustNewConstMetric(b.pending, prometheus.GaugeValue, float64(pending), stream)
		})
	}
	asking.Wait()
}
