// Package natstest starts real servers for tests: in process, without a port,
// in about a tenth of a second, and stopped when the test ends.
package natstest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd"
)

// storeMaxBytes is small, so that many tests fit on one disk.
const storeMaxBytes = 1 << 30

// Start starts a server in dir with the given listen address, "" for none.
func Start(tb testing.TB, dir, listen string) *natsd.Server {
	tb.Helper()
	s, err := natsd.Start(natsd.Options{
		Logger:        Logger(tb),
		Dir:           dir,
		Listen:        listen,
		MaxPayload:    broker.MaxPayload,
		StoreMaxBytes: storeMaxBytes,
	})
	if err != nil {
		tb.Fatalf("start server: %v", err)
	}
	tb.Cleanup(s.Stop)
	return s
}

// Broker starts a server of its own, provisions it for every type that has a
// schema, and returns a connection to it.
func Broker(tb testing.TB) *broker.Broker {
	tb.Helper()
	return Provisioned(tb, Start(tb, tb.TempDir(), ""))
}

// Provisioned connects to a server and provisions it for every type that has a
// schema.
func Provisioned(tb testing.TB, server nats.InProcessConnProvider) *broker.Broker {
	tb.Helper()
	b := Connect(tb, server)
	contracts, err := callback.LoadContracts()
	if err != nil {
		tb.Fatalf("load contracts: %v", err)
	}
	if _, err := b.Provision(tb.Context(), broker.Plan{Types: contracts.Types(), StoreMaxBytes: storeMaxBytes}); err != nil {
		tb.Fatalf("provision: %v", err)
	}
	return b
}

// Connect connects to a server.
func Connect(tb testing.TB, server nats.InProcessConnProvider) *broker.Broker {
	tb.Helper()
	b, err := broker.Connect(broker.Options{Logger: Logger(tb), Name: tb.Name(), InProcess: server})
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(b.Close)
	return b
}

// Traced connects to a server with a broker that makes spans, and returns what has
// those that ended.
func Traced(tb testing.TB, server nats.InProcessConnProvider) (*broker.Broker, *tracetest.InMemoryExporter) {
	tb.Helper()
	ended := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(ended))
	tb.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(tb.Context())) })
	b, err := broker.Connect(broker.Options{Logger: Logger(tb), Name: tb.Name(), InProcess: server, Tracer: provider.Tracer("fanfare")})
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(b.Close)
	return b, ended
}

// JetStream returns a client of its own, for what fanfare itself never does.
func JetStream(tb testing.TB, server nats.InProcessConnProvider) jetstream.JetStream {
	tb.Helper()
	conn, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		tb.Fatalf("open JetStream: %v", err)
	}
	return js
}

// Erasable makes an empty stream again, and its durables, so that single messages of it
// can be deleted: as earlier releases made them all.
func Erasable(tb testing.TB, js jetstream.JetStream, name string) {
	tb.Helper()
	stream, err := js.Stream(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	var durables []jetstream.ConsumerConfig
	list := stream.ListConsumers(tb.Context())
	for info := range list.Info() {
		durables = append(durables, info.Config)
	}
	config := stream.CachedInfo().Config
	config.DenyDelete = false
	if err := errors.Join(list.Err(), js.DeleteStream(tb.Context(), name)); err != nil {
		tb.Fatal(err)
	}
	if _, err := js.CreateStream(tb.Context(), config); err != nil {
		tb.Fatal(err)
	}
	for _, durable := range durables {
		if _, err := js.CreateConsumer(tb.Context(), name, durable); err != nil {
			tb.Fatal(err)
		}
	}
}

// Logger logs to the test's own output; a benchmark's lines are made and thrown
// away.
func Logger(tb testing.TB) *slog.Logger {
	tb.Helper()
	out := tb.Output()
	if _, benchmark := tb.(*testing.B); benchmark {
		out = io.Discard
	}
	return slog.New(slog.NewJSONHandler(out, nil))
}
