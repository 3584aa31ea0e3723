package consume_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/broker"
	"fanfare/pkg/consume"
	"fanfare/pkg/natsd"
	"fanfare/pkg/natsd/natstest"
)

// BenchmarkDrain measures how fast a runner whose handler does nothing empties a
// durable, decoding, logging and double acks included.
func BenchmarkDrain(b *testing.B) {
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
	var left sync.WaitGroup
	left.Add(b.N)
	runner, err := consume.New(consume.Options{
		Logger:     natstest.Logger(b),
		Registerer: prometheus.NewRegistry(),
		Broker:     conn,
		Contract:   contract(b, "wav"),
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
	b.ReportAllocs()
	b.ResetTimer()
	running.Go(func() { _ = runner.Run(ctx) })
	left.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	cancel()
	running.Wait()
}
