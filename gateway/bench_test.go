package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
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
				call(b, start(b, natstest.Provisioned(b, server)).url, callers, gateway.Bodies()["small"])
			})
		}
	}
}

// BenchmarkGateway measures what strict decoding, the schema, identity, signature
// and routing add: each callback is sent to the gateway, and to a bare handler
// that reads the body and publishes it under an ID that it is told.
func BenchmarkGateway(b *testing.B) {
	const key = "a key of twenty-four bytes or more"
	for name, body := range gateway.Bodies() {
		for _, front := range []string{"bare", "gateway", "signed"} {
			b.Run(name+"/"+front, func(b *testing.B) {
				server, err := natsd.Start(natsd.Options{
					Logger: natstest.Logger(b), Dir: b.TempDir(), MaxPayload: broker.MaxPayload, StoreMaxBytes: 4 << 30, Unsynced: true,
				})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(server.Stop)
				conn := natstest.Provisioned(b, server)
				switch front {
				case "bare":
					bare := httptest.NewServer(publishOnly(conn))
					b.Cleanup(bare.Close)
					call(b, bare.URL, 1, body)
				case "gateway":
					call(b, start(b, conn).url, 1, body)
				default:
					now := fmt.Sprint(time.Now().Unix())
					r := start(b, conn, withKeys(secretFile(b, key)), func(o *gateway.Options) { o.HMACTolerance = time.Hour })
					call(b, r.url, 1, body, func(h http.Header, id string) {
						h.Set("X-Webhook-Timestamp", now)
						h.Set("X-Webhook-Signature", sign(key, id, now))
					})
				}
			})
		}
	}
}

// publishOnly is the least that a gateway could do.
func publishOnly(b *broker.Broker) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = b.Publish(r.Context(), callback.Callback{
				Type: "music", TaskID: callback.TaskID(r.Header.Get("X-Id")), Stage: callback.Complete, Code: 200, Received: time.Now(), Body: body,
			})
		}
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"code":200,"msg":"success"}`)
	})
}

// call sends b.N callbacks from so many callers at once.
func call(b *testing.B, url string, callers int, body func(id string) []byte, change ...func(h http.Header, id string)) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers, DisableCompression: true}}
	b.Cleanup(client.CloseIdleConnections)
	var next atomic.Int64
	if callers > 1 {
		b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	}
	send := func() error {
		id := fmt.Sprintf("%032x", next.Add(1))
		request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/callbacks/music", bytes.NewReader(body(id)))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Id", id)
		for _, c := range change {
			c(request.Header, id)
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("answered %d", response.StatusCode)
		}
		return nil
	}
	b.ReportAllocs()
	b.ResetTimer()
	if callers == 1 {
		for range b.N {
			if err := send(); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := send(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "callbacks/s")
}
