package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"

	"fanfare/pkg/broker"
	"fanfare/pkg/natsd"
	"fanfare/pkg/natsd/natstest"
)

// BenchmarkCallback measures one callback over HTTP from its request to its
// answer, which comes after the publish ack: with a server that syncs every
// write, as fanfare runs it, and with one that does not, which shows the rest.
func BenchmarkCallback(b *testing.B) {
	for _, sync := range []struct {
		name     string
		unsynced bool
	}{{"sync=always", false}, {"sync=default", true}} {
		for _, callers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/callers=%d", sync.name, callers), func(b *testing.B) {
				server, err := natsd.Start(natsd.Options{
					Logger:        natstest.Logger(b),
					Dir:           b.TempDir(),
					MaxPayload:    broker.MaxPayload,
					StoreMaxBytes: 4 << 30,
					Unsynced:      sync.unsynced,
				})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(server.Stop)
				call(b, start(b, natstest.Provisioned(b, server)), callers)
			})
		}
	}
}

// call sends b.N callbacks from so many callers at once.
func call(b *testing.B, r *rig, callers int) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers, DisableCompression: true}}
	b.Cleanup(client.CloseIdleConnections)
	var next atomic.Int64
	b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := fmt.Appendf(nil, `{"code":200,"msg":"success","data":{"task_id":"%032x","audioWavUrl":"https://example.com/a.wav"}}`, next.Add(1))
			request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, r.url+"/callbacks/wav", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := client.Do(request)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				b.Errorf("answered %d", response.StatusCode)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "callbacks/s")
}
