package consume_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/broker"
	"fanfare/pkg/consume"
	"fanfare/pkg/natsd"
	"fanfare/pkg/natsd/natstest"
)

const drainWorkers = 8

// BenchmarkDrain measures how fast a runner whose handler does nothing empties a
// durable, decoding, logging and double acks included, beside the least that as
// many workers could do: fetch one, ack it, wait for the server's word.
func BenchmarkDrain(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		server, _ := filled(b)
		consumer, err := natstest.JetStream(b, server).Consumer(b.Context(), "CALLBACKS", "wav")
		if err != nil {
			b.Fatal(err)
		}
		var left atomic.Int64
		left.Store(int64(b.N))
		drain(b, func() {
			var workers sync.WaitGroup
			for range drainWorkers {
				workers.Go(func() {
					for left.Add(-1) >= 0 {
						batch, err := consumer.Fetch(1)
						if err != nil {
							b.Error(err)
							return
						}
						if err := (<-batch.Messages()).DoubleAck(b.Context()); err != nil {
							b.Error(err)
						}
					}
				})
			}
			workers.Wait()
		})
	})
	b.Run("runner", func(b *testing.B) {
		_, conn := filled(b)
		var left sync.WaitGroup
		left.Add(b.N)
		runner, err := consume.New(consume.Options{
			Logger:     natstest.Logger(b),
			Registerer: prometheus.NewRegistry(),
			Broker:     conn,
			Contract:   contract(b, "wav"),
			Workers:    drainWorkers,
			Handler: func(context.Context, consume.Delivery) error {
				left.Done()
				return nil
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		var running sync.WaitGroup
		drain(b, func() {
			running.Go(func() { _ = runner.Run(ctx) })
			left.Wait()
		})
		cancel()
		running.Wait()
	})
}

// filled returns a server whose durable has b.N messages to deliver.
func filled(b *testing.B) (*natsd.Server, *broker.Broker) {
	b.Helper()
	server, err := natsd.Start(natsd.Options{
		Logger: natstest.Logger(b), Dir: b.TempDir(), MaxPayload: broker.MaxPayload, StoreMaxBytes: 4 << 30, Unsynced: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	conn := natstest.Provisioned(b, server)
	for i := range b.N {
		publish(b, conn, "wav", failedWAV(i), time.Now())
	}
	return server, conn
}

func drain(b *testing.B, all func()) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	all()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
