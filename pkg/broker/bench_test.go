package broker_test

import (
	"testing"

	"fanfare/pkg/broker"
)

// BenchmarkRead reads 10,000 callbacks to find those of one task, as explain does.
func BenchmarkRead(b *testing.B) {
	const stored = 10_000
	br, js := provisioned(b)
	body := make([]byte, 1500) // what a music callback has
	for i := range stored {
		if _, err := js.Publish(b.Context(), "callbacks.music."+[]string{"text", "first", "complete"}[i%3], body); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		read := 0
		if err := br.Read(b.Context(), "callbacks.music.>", func(broker.Message) error { read++; return nil }); err != nil || read != stored {
			b.Fatal(read, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*stored), "ns/message")
}
