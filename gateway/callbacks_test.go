package gateway_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
	"fanfare/schemas"
)

// examples returns the documented bodies, by path <type>/<what it shows>.json.
func examples(tb testing.TB) map[string][]byte {
	tb.Helper()
	found := make(map[string][]byte)
	names, err := fs.Glob(schemas.Files, "examples/*/*.json")
	if err != nil || len(names) == 0 {
		tb.Fatalf("no examples: %v", err)
	}
	for _, name := range names {
		body, err := schemas.Files.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		found[strings.TrimPrefix(name, "examples/")] = body
	}
	return found
}

func TestEveryExampleIsStoredOnceOnItsSubject(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range examples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, natstest.Broker(t))
			typ := path.Dir(name)
			for range 2 {
				a := r.post("/callbacks/"+typ, body)
				a.wellFormed(t)
				if a.status != http.StatusOK || a.body != `{"code":200,"msg":"success"}` {
					t.Fatalf("answered %d %s", a.status, a.body)
				}
			}
			if got := r.count(callback.Type(typ)); got != 1 {
				t.Fatalf("%d messages after the same callback twice, want 1", got)
			}
			cb, err := contracts[callback.Type(typ)].Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			m := r.stored("callbacks.>", 1)[0]
			if want := "callbacks." + typ + "." + string(cb.Stage); m.Subject != want {
				t.Errorf("stored on %s, want %s", m.Subject, want)
			}
			if !bytes.Equal(m.Body, body) {
				t.Error("the stored body is not the one that was sent")
			}
			checkHeaders(t, m.Header, cb)
		})
	}
}

// checkHeaders holds a message's headers against CloudEvents 1.0, binary mode.
func checkHeaders(t *testing.T, header map[string]string, cb callback.Callback) {
	t.Helper()
	for name, want := range map[string]string{
		"Nats-Msg-Id":        cb.MessageID(),
		"ce-specversion":     "1.0",
		"ce-id":              cb.MessageID(),
		"ce-type":            fmt.Sprintf("fanfare.callback.%s.%s", cb.Type, cb.Stage),
		"ce-source":          "/callbacks/" + string(cb.Type),
		"ce-subject":         string(cb.TaskID),
		"ce-datacontenttype": "application/json",
		"ce-stage":           string(cb.Stage),
		"ce-code":            fmt.Sprint(cb.Code),
	} {
		if header[name] != want {
			t.Errorf("header %s is %q, want %q", name, header[name], want)
		}
	}
	at, err := time.Parse(time.RFC3339Nano, header["ce-time"])
	if err != nil || time.Since(at) > time.Hour || time.Since(at) < -time.Hour {
		t.Errorf("ce-time %q is not about now: %v", header["ce-time"], err)
	}
}

func TestRetryStormStoresOneMessage(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	body := examples(t)["music/generate-complete.json"]
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if a := r.post("/callbacks/music", body); a.status != http.StatusOK {
				t.Errorf("answered %d %s", a.status, a.body)
			}
		})
	}
	group.Wait()
	if got := r.count("music"); got != 1 {
		t.Errorf("%d messages, want 1", got)
	}
}

func TestIdentityKeepsApartWhatTheTaskIDWouldNot(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	const id = `"task_id":"5c79d1e2"`
	posts := []struct{ typ, body string }{
		{"music", `{"code":200,"msg":"","data":{` + id + `,"callbackType":"text"}}`},
		{"music", `{"code":200,"msg":"","data":{` + id + `,"callbackType":"first","data":[{"audio_url":"https://example.com/a.mp3"}]}}`},
		{"music", `{"code":501,"msg":"","data":{` + id + `,"callbackType":"error"}}`},
		{"music", `{"code":531,"msg":"","data":{` + id + `,"callbackType":"error"}}`},
		{"music", `{"code":200,"msg":"","data":{` + id + `,"callbackType":"complete","data":[{"audio_url":"https://example.com/a.mp3"}]}}`},
		{"music", `{"code":200,"msg":"","data":{` + id + `,"callbackType":"mastered"}}`},
		{"music", `{"code":200,"msg":"","data":{` + id + `,"callbackType":"mixed"}}`},
		{"wav", `{"code":200,"msg":"","data":{` + id + `,"audioWavUrl":"https://example.com/a.wav"}}`},
		{"video", `{"code":200,"msg":"","data":{` + id + `,"video_url":"https://example.com/a.mp4"}}`},
		{"video", `{"code":0,"msg":"","data":{` + id + `,"video_url":"https://example.com/a.mp4"}}`},
	}
	for range 2 {
		for _, p := range posts {
			if a := r.post("/callbacks/"+p.typ, []byte(p.body)); a.status != http.StatusOK {
				t.Errorf("%s: answered %d %s", p.body, a.status, a.body)
			}
		}
	}
	for typ, want := range map[callback.Type]int{"music": 7, "wav": 1, "video": 2} {
		if got := r.count(typ); got != want {
			t.Errorf("%d messages of type %s, want %d", got, typ, want)
		}
	}
}
