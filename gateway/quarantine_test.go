package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"fanfare/pkg/natsd/natstest"
)

func TestInvalidCallbacksAreQuarantinedOnce(t *testing.T) {
	t.Parallel()
	for reason, body := range map[string]string{
		"malformed": "\x00\xff not JSON at all",
		"task_id":   `{"code":200,"msg":"","data":{}}`,
		"schema":    `{"code":200,"msg":"","data":{"task_id":"t1","audioWavUrl":null}}`,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			r := start(t, natstest.Broker(t))
			for range 3 {
				a := r.post("/callbacks/wav", []byte(body))
				a.wellFormed(t)
				if a.status != http.StatusBadRequest {
					t.Errorf("answered %d %s", a.status, a.body)
				}
			}
			kept := r.stored("quarantine.>", 1)[0]
			if kept.Subject != "quarantine.wav" || string(kept.Body) != body {
				t.Errorf("%s holds %q", kept.Subject, kept.Body)
			}
			if !strings.HasPrefix(kept.Header["Nats-Msg-Id"], "wav/"+reason+"/") || kept.Header["Fanfare-Reason"] != reason {
				t.Errorf("header is %v", kept.Header)
			}
			if kept.Header["Content-Type"] != "application/json" || kept.Header["Fanfare-Received"] == "" {
				t.Errorf("header is %v", kept.Header)
			}
			r.post("/callbacks/wav", []byte(body+" "))
			if again := r.stored("quarantine.>", 2); again[1].Sequence != 2 {
				t.Errorf("the retries piled up: another body is number %d", again[1].Sequence)
			}
		})
	}
}

func TestARefusedCallbackLeavesTheCorrectedOneRoom(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	if a := r.post("/callbacks/wav", []byte(strings.Replace(goodWAV, "https", "ftp", 1))); a.status != http.StatusBadRequest {
		t.Errorf("answered %d", a.status)
	}
	if a := r.post("/callbacks/wav", []byte(goodWAV)); a.status != http.StatusOK {
		t.Errorf("answered %d", a.status)
	}
	if got := r.count("wav"); got != 1 {
		t.Errorf("%d messages stored, want 1", got)
	}
}

func TestContradictionsAreQuarantined(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	const original = `{"code":200,"msg":"a","data":{"task_id":"t1","audioWavUrl":"https://example.com/a.wav","n":[1,2]}}`
	for _, test := range []struct {
		name, body, result string
	}{
		{"the first", original, "stored"},
		{"byte for byte", original, "duplicate"},
		{"white space", strings.ReplaceAll(original, ",", " ,\n"), "duplicate"},
		{"key order", `{"data":{"n":[1,2],"audioWavUrl":"https://example.com/a.wav","task_id":"t1"},"msg":"a","code":200}`, "duplicate"},
		{"number spelled otherwise", strings.Replace(original, `"code":200`, `"code":2e2`, 1), "duplicate"},
		{"escapes", strings.Replace(original, `"msg":"a"`, `"msg":"\u0061"`, 1), "duplicate"},
		{"another URL", strings.Replace(original, "a.wav", "b.wav", 1), "conflict"},
		{"another message", strings.Replace(original, `"msg":"a"`, `"msg":"b"`, 1), "conflict"},
		{"another order of items", strings.Replace(original, "[1,2]", "[2,1]", 1), "conflict"},
		{"a member more", strings.Replace(original, `"msg"`, `"x":null,"msg"`, 1), "conflict"},
	} {
		before := r.callbacks("wav", "complete", test.result)
		if a := r.post("/callbacks/wav", []byte(test.body)); a.status != http.StatusOK {
			t.Errorf("%s: answered %d %s", test.name, a.status, a.body)
		}
		if after := r.callbacks("wav", "complete", test.result); after != before+1 {
			t.Errorf("%s: not counted as %s", test.name, test.result)
		}
	}
	for _, kept := range r.stored("quarantine.>", 4) {
		if kept.Header["Fanfare-Reason"] != "conflict" {
			t.Errorf("reason %q", kept.Header["Fanfare-Reason"])
		}
	}
	if got := len(r.stored("callbacks.>", 1)); got != 1 {
		t.Errorf("%d callbacks stored", got)
	}
}

func TestWithoutQuarantineTheSenderMustComeAgain(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	r := start(t, natstest.Provisioned(t, server))
	server.Stop()
	a := r.post("/callbacks/wav", []byte(`{}`))
	a.wellFormed(t)
	if a.status != http.StatusServiceUnavailable {
		t.Errorf("answered %d %s", a.status, a.body)
	}
}
