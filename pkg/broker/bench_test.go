package broker_test

import (
	"testing"

	"fanfare/pkg/broker"
)

// BenchmarkRead reads 10,000 callbacks to find those of one task, as explain does.
func BenchmarkRead(b *testing.B) {
	const stored = 10_000
	br, js := provisioned(b)
	fill(b, js, "callbacks.music.complete", stored, 1500) // bytes, which a music callback has
	for b.Loop() {
		read := 0
		if err := br.Read(b.Context(), "callbacks.music.>", func(broker.Message) error { read++; return nil }); err != nil || read != stored {
			b.Fatal(read, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*stored), "ns/message")
}
