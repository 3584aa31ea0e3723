package broker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/callback"
)

// scrapeWait bounds the questions to the server for one scrape, which are all asked at
// the same time: what is not answered by then is left out, and takes nothing else with
// it.
const scrapeWait = 3 * time.Second

// Collector tells Prometheus about the connection, the streams and some types'
// durables. It asks the server at every scrape and keeps nothing.
type Collector struct {
	broker *Broker
	logger *slog.Logger
	types  []callback.Type

	connected, certificate                   *prometheus.Desc
	messages, bytes, maxBytes                *prometheus.Desc
	replicas, current                        *prometheus.Desc
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
		certificate: desc("broker_certificate_not_after_seconds", "When the NATS server's TLS certificate ends, as this connection was shown it, in seconds since the epoch; absent without TLS."),
		messages:    desc("stream_messages", "Messages that a stream holds.", "stream"),
		bytes:       desc("stream_bytes", "Bytes that a stream holds.", "stream"),
		maxBytes:    desc("stream_max_bytes", "Bytes that a stream may hold before it refuses.", "stream"),
		replicas:    desc("stream_replicas", "Copies that a stream is set to have, the leader's included.", "stream"),
		current:     desc("stream_replicas_current", "Copies of a stream that are there and up to date, the leader's included.", "stream"),
		pending:     desc("consumer_pending", "Messages that a durable has not delivered yet.", "type"),
		ackPending:  desc("consumer_ack_pending", "Messages that a durable has delivered and that are not settled.", "type"),
		redelivered: desc("consumer_redelivered", "Unsettled messages that a durable has delivered more than once.", "type"),
		oldest:      desc("consumer_oldest_pending_seconds", "Age of the oldest message that a durable has not delivered yet; 0 when there is none.", "type"),
	}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.connected, c.certificate, c.messages, c.bytes, c.maxBytes, c.replicas, c.current,
		c.pending, c.ackPending, c.redelivered, c.oldest,
	} {
		descs <- d
	}
}

// gauge sends one value.
type gauge func(d *prometheus.Desc, value float64, labels ...string)

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if !c.broker.Connected() {
		send(c.connected, 0)
		return
	}
	send(c.connected, 1)
	if notAfter, ok := c.broker.certificate(); ok {
		send(c.certificate, float64(notAfter.Unix()))
	}
	if failed := c.ask(send); len(failed) > 0 {
		c.logger.Warn("not measured", "errors", failed)
	}
}

// ask asks for everything at once, and returns by name why there is no answer.
func (c *Collector) ask(send gauge) (failed map[string]string) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	var (
		asking sync.WaitGroup
		mu     sync.Mutex
	)
	failed = make(map[string]string)
	measure := func(what string, how func() error) {
		asking.Go(func() {
			if err := how(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[what] = err.Error()
			}
		})
	}
	for _, t := range c.types {
		measure("durable "+string(t), func() error { return c.measureDurable(ctx, t, send) })
	}
	for _, name := range []string{StreamCallbacks, StreamQuarantine, StreamDeadLetters, StreamTasks, streamResults, streamTasksState} {
		measure("stream "+label(name), func() error { return c.measureStream(ctx, name, send) })
	}
	asking.Wait()
	return failed
}

func (c *Collector) measureStream(ctx context.Context, name string, send gauge) error {
	stream, err := c.broker.js.Stream(ctx, name)
	if err != nil {
		return err //nolint:wrapcheck // the caller names the stream
	}
	info := stream.CachedInfo()
	send(c.messages, float64(info.State.Msgs), label(name))
	send(c.bytes, float64(info.State.Bytes), label(name))
	send(c.maxBytes, float64(info.Config.MaxBytes), label(name))
	send(c.replicas, float64(info.Config.Replicas), label(name))
	send(c.current, float64(upToDate(info.Cluster)), label(name))
	return nil
}

// upToDate counts the copies that are there and up to date. A single server has one.
func upToDate(cluster *jetstream.ClusterInfo) (copies int) {
	if cluster == nil {
		return 1
	}
	if cluster.Leader != "" {
		copies++
	}
	for _, replica := range cluster.Replicas {
		if replica.Current && !replica.Offline {
			copies++
		}
	}
	return copies
}

func (c *Collector) measureDurable(ctx context.Context, t callback.Type, send gauge) error {
	backlog, err := c.broker.Backlog(ctx, t)
	if err != nil {
		return err
	}
	send(c.pending, float64(backlog.Pending), string(t))
	send(c.ackPending, float64(backlog.AckPending), string(t))
	send(c.redelivered, float64(backlog.Redelivered), string(t))
	send(c.oldest, backlog.Oldest.Seconds(), string(t))
	return nil
}

// certificate is when the certificate ends that the server has shown on this connection.
func (b *Broker) certificate() (notAfter time.Time, ok bool) {
	state, err := b.conn.TLSConnectionState()
	if err != nil || len(state.PeerCertificates) == 0 {
		return notAfter, false
	}
	return state.PeerCertificates[0].NotAfter, true
}

// label names a stream as its users know it.
func label(stream string) string {
	return strings.TrimPrefix(stream, "KV_")
}
