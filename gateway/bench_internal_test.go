package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

// Bodies returns what the benchmarks send: a small finished task, and one of two
// tracks, of about 3 KB, as the provider sends most.
func Bodies() map[string]func(id string) []byte {
	track := `{"audio_url":"https://example.com/r/ZTMyMjVlMmQ.mp3","createTime":1758044664461,"duration":163.88,"id":"e3225e2d-16ec-4f5c-9dcc-16fd548631e1",` +
		`"image_url":"https://example.com/r/ZTMyMjVlMmQ.jpeg","model_name":"chirp-v3-5","prompt":"` + strings.Repeat(`[Verse]\nA line of the lyrics of the song\n`, 20) +
		`","source_audio_url":"https://example.com/s/e3225e2d.mp3","stream_audio_url":"https://example.com/ZTMyMjVlMmQ","tags":"relaxing, piano","title":"Tides"}`
	return map[string]func(id string) []byte{
		"small": func(id string) []byte {
			return fmt.Appendf(nil, `{"code":200,"msg":"success","data":{"task_id":%q,"callbackType":"complete","data":[{"audio_url":"https://example.com/a.mp3"}]}}`, id)
		},
		"music": func(id string) []byte {
			return fmt.Appendf(nil, `{"code":200,"data":{"callbackType":"complete","data":[%s,%s],"task_id":%q},"msg":"All generated successfully."}`, track, track, id)
		},
	}
}

// BenchmarkGatewayStage measures each stage between a request and its publish
// alone, to be held beside [BenchmarkGateway], which measures the whole. As there,
// a server with some callbacks lives in the process, so that the garbage collector
// has as much to do for an allocation here as there.
func BenchmarkGatewayStage(b *testing.B) {
	conn := natstest.Broker(b)
	for n := range 1000 {
		if _, err := conn.Publish(b.Context(), callback.Callback{
			Type: "music", TaskID: callback.TaskID(strconv.Itoa(n)), Stage: callback.Complete, Code: 200, Received: time.Now(), Body: Bodies()["music"]("1"),
		}); err != nil {
			b.Fatal(err)
		}
	}
	contracts, err := callback.LoadContracts()
	if err != nil {
		b.Fatal(err)
	}
	const id = "65e563474bd7b6485dfb229eb92324a8"
	contract := contracts["music"]
	for name, body := range Bodies() {
		body := body(id)
		b.Run(name+"/stage=decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := contract.Identify(body); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/stage=schema", func(b *testing.B) {
			identified, err := contract.Identify(body)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := contract.Accept(identified); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("any/stage=identity", func(b *testing.B) {
		cb := callback.Callback{Type: "music", TaskID: id, Stage: callback.Complete, Code: 200}
		b.ReportAllocs()
		for b.Loop() {
			_ = cb.MessageID()
		}
	})
	b.Run("any/stage=route", func(b *testing.B) {
		routes := router(contracts, false, func(*callback.Contract) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		}, http.NotFound)
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/callbacks/music", nil)
		b.ReportAllocs()
		for b.Loop() {
			routes.ServeHTTP(w, r)
		}
	})
	b.Run("any/stage=verify", func(b *testing.B) {
		key, now := []byte("a key of twenty-four bytes or more"), time.Unix(1769670760, 0)
		timestamp := strconv.FormatInt(now.Unix(), 10)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp))
		h := http.Header{headerTimestamp: {timestamp}, headerSignature: {base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
		b.ReportAllocs()
		for b.Loop() {
			claim, err := readSignature(h, now, time.Minute)
			if err != nil || !claim.signs(id, [][]byte{key}) {
				b.Fatal("not signed", err)
			}
		}
	})
}
