package broker

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/callback"
)

// scrapeWait bounds all questions to the server for one scrape; what is not
// answered by then is left out of it.
const scrapeWait = 3 * time.Second

// Collector tells Prometheus about the connection, the streams and some types'
// durables. It asks the server at every scrape and keeps nothing.
type Collector struct {
	broker *Broker
	logger *slog.Logger
	types  []callback.Type

	connected, messages, bytes, maxBytes     *prometheus.Desc
	pending, ackPending, redelivered, oldest *prometheus.Desc
}

// Collector returns a collector for the connection, every stream, and the
// durables of types, of which there may be none.
func (b *Broker) Collector(types []callback.Type) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("fanfare_"+name, help, labels, nil)
	}
	return &Collector{
		broker:      b,
		logger:      b.logger,
		types:       types,
		connected:   desc("broker_connected", "Whether the NATS server is reachable (1) or not (0)."),
		messages:    desc("stream_messages", "Messages that a stream holds.", "stream"),
		bytes:       desc("stream_bytes", "Bytes that a stream holds.", "stream"),
		maxBytes:    desc("stream_max_bytes", "Bytes that a stream may hold before it refuses.", "stream"),
		pending:     desc("consumer_pending", "Messages that a durable has not delivered yet.", "type"),
		ackPending:  desc("consumer_ack_pending", "Messages that a durable has delivered and that are not settled.", "type"),
		redelivered: desc("consumer_redelivered", "Unsettled messages that a durable has delivered more than once.", "type"),
		oldest:      desc("consumer_oldest_pending_seconds", "Age of the oldest message that a durable has not settled; 0 when there is none.", "type"),
	}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.connected, c.messages, c.bytes, c.maxBytes, c.pending, c.ackPending, c.redelivered, c.oldest,
	} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if !c.broker.Connected() {
		gauge(c.connected, 0)
		return
	}
	gauge(c.connected, 1)
	for _, name := range []string{StreamCallbacks, StreamQuarantine, StreamDeadLetters, StreamTasks, streamResults, streamTasksState} {
		stream, err := c.broker.js.Stream(ctx, name)
		if err != nil {
			c.logger.Warn("stream not measured", "stream", name, "error", err)
			return
		}
		info := stream.CachedInfo()
		gauge(c.messages, float64(info.State.Msgs), label(name))
		gauge(c.bytes, float64(info.State.Bytes), label(name))
		gauge(c.maxBytes, float64(info.Config.MaxBytes), label(name))
	}
	for _, t := range c.types {
		backlog, err := c.broker.Backlog(ctx, t)
		if err != nil {
			c.logger.Warn("durable not measured", "type", t, "error", err)
			return
		}
		gauge(c.pending, float64(backlog.Pending), string(t))
		gauge(c.ackPending, float64(backlog.AckPending), string(t))
		gauge(c.redelivered, float64(backlog.Redelivered), string(t))
		gauge(c.oldest, backlog.Oldest.Seconds(), string(t))
	}
}

// label names a stream as its users know it.
func label(stream string) string {
	return strings.TrimPrefix(stream, "KV_")
}
