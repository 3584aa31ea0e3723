package gateway_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fanfare/gateway"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// vectorKey, with the values in TestSignatureOfTheDocumentedScheme, was computed
// by other means than this program's.
const vectorKey = "test-webhook-hmac-key"

func secretFile(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "secret")
	writeSecret(tb, path, content)
	return path
}

// writeSecret replaces the file at once, as careful operators do.
func writeSecret(tb testing.TB, path, content string) {
	tb.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		tb.Fatal(err)
	}
}

func sign(key, id, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(id + "." + timestamp))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func signed(timestamp, signature string) string {
	return fmt.Sprintf("Content-Type: application/json\r\nX-Webhook-Timestamp: %s\r\nX-Webhook-Signature: %s\r\n", timestamp, signature)
}

func withKeys(paths ...string) func(*gateway.Options) {
	return func(o *gateway.Options) { o.HMACKeyFiles = paths }
}

func TestSignatureOfTheDocumentedScheme(t *testing.T) {
	t.Parallel()
	const id, timestamp, want = "ee9c2715375b7837f8bb51d641ff5863", "1769670760", "xG6/yOyrMyJtUdc1yjmHpKLHSHF3MpzOPa6uxSj3qb4="
	if got := sign(vectorKey, id, timestamp); got != want {
		t.Fatalf("the tests sign %s, want %s", got, want)
	}
	// A tolerance as long as the vector is old lets the gateway judge it.
	r := start(t, natstest.Broker(t), withKeys(secretFile(t, vectorKey+"\n")), func(o *gateway.Options) {
		o.HMACTolerance = time.Since(time.Unix(1769670760, 0)).Abs() + time.Hour
	})
	body := strings.Replace(goodWAV, "t1", id, 1)
	if a := r.exchange(sent{header: signed(timestamp, want), body: body}.raw(), "POST"); a.status != http.StatusOK {
		t.Errorf("answered %d %s", a.status, a.body)
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	const old, current = "the old key, of enough bytes", "the new key, of enough bytes"
	b := natstest.Broker(t)
	r := start(t, b, withKeys(secretFile(t, old), secretFile(t, current)))
	at := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	now := at(0)
	good := sign(current, "t1", now)
	invalid := `{"code":200,"msg":"","data":{"task_id":"t1"}}`
	for _, s := range []sent{
		{name: "current key", header: signed(now, good), body: goodWAV, want: 200},
		{name: "old key", header: signed(now, sign(old, "t1", now)), body: goodWAV, want: 200},
		{name: "a minute old", header: signed(at(-time.Minute), sign(current, "t1", at(-time.Minute))), body: goodWAV, want: 200},
		{name: "290 s ahead", header: signed(at(290*time.Second), sign(current, "t1", at(290*time.Second))), body: goodWAV, want: 200},
		{name: "signed and invalid", header: signed(now, good), body: invalid, want: 400},

		{name: "unsigned", body: goodWAV, want: 401},
		{name: "no timestamp", header: "Content-Type: application/json\r\nX-Webhook-Signature: " + good + "\r\n", body: goodWAV, want: 401},
		{name: "no signature", header: "Content-Type: application/json\r\nX-Webhook-Timestamp: " + now + "\r\n", body: goodWAV, want: 401},
		{name: "another key", header: signed(now, sign("neither of them, of enough bytes", "t1", now)), body: goodWAV, want: 401},
		{name: "another task", header: signed(now, sign(current, "t2", now)), body: goodWAV, want: 401},
		{name: "another time", header: signed(at(time.Second), good), body: goodWAV, want: 401},
		{name: "301 s old", header: signed(at(-302*time.Second), sign(current, "t1", at(-302*time.Second))), body: goodWAV, want: 401},
		{name: "an hour ahead", header: signed(at(time.Hour), sign(current, "t1", at(time.Hour))), body: goodWAV, want: 401},
		{name: "overflowing", header: signed("99999999999999999999", sign(current, "t1", "99999999999999999999")), body: goodWAV, want: 401},
		{name: "int64 limit", header: signed("9223372036854775807", sign(current, "t1", "9223372036854775807")), body: goodWAV, want: 401},
		{name: "negative", header: signed("-1", sign(current, "t1", "-1")), body: goodWAV, want: 401},
		{name: "plus sign", header: signed("+"+now, sign(current, "t1", "+"+now)), body: goodWAV, want: 401},
		{name: "fraction", header: signed(now+".0", sign(current, "t1", now+".0")), body: goodWAV, want: 401},
		{name: "hexadecimal", header: signed("0x5f", sign(current, "t1", "0x5f")), body: goodWAV, want: 401},
		{name: "empty timestamp", header: signed("", sign(current, "t1", "")), body: goodWAV, want: 401},
		{name: "doubled signature", header: signed(now, good) + "X-Webhook-Signature: " + good + "\r\n", body: goodWAV, want: 401},
		{name: "doubled timestamp", header: signed(now, good) + "X-Webhook-Timestamp: " + now + "\r\n", body: goodWAV, want: 401},
		{name: "no padding", header: signed(now, strings.TrimRight(good, "=")), body: goodWAV, want: 401},
		{name: "URL alphabet", header: signed(now, "_-_-"+good[4:]), body: goodWAV, want: 401},
		{name: "hexadecimal mac", header: signed(now, strings.Repeat("ab", 32)), body: goodWAV, want: 401},
		{name: "short mac", header: signed(now, "YWJj"), body: goodWAV, want: 401},
		{name: "stale before the body is looked at", header: signed("1", "YWJj"), body: "nonsense", want: 401},
		{name: "no task ID", header: signed(now, good), body: `{"code":200,"msg":"","data":{}}`, want: 400},
		{name: "not JSON", header: signed(now, good), body: "nonsense", want: 400},
		{name: "wrongly signed and invalid", header: signed(now, sign(current, "t2", now)), body: invalid, want: 401},
	} {
		t.Run(s.name, func(t *testing.T) {
			a := r.exchange(s.raw(), "POST")
			a.wellFormed(t)
			if a.status != s.want {
				t.Errorf("answered %d %s, want %d", a.status, a.body, s.want)
			}
		})
	}
	if got := r.count("wav"); got != 1 {
		t.Errorf("%d messages stored, want 1", got)
	}
	if kept := r.stored("quarantine.>", 1); !strings.Contains(string(kept[0].Body), `"data":{"task_id":"t1"}`) {
		t.Errorf("quarantine holds %s", kept[0].Body)
	}
	if n := r.callbacks("wav", "none", "quarantined"); n != 1 {
		t.Errorf("%v quarantined, want the one that was signed and invalid", n)
	}
}

func TestKeysAreReloadedWithoutAFalseRefusal(t *testing.T) {
	t.Parallel()
	keys := []string{"key number 0, of enough bytes", "key number 1, of enough bytes", "key number 2, of enough bytes"}
	first, second := secretFile(t, keys[0]), secretFile(t, keys[1])
	r := start(t, natstest.Broker(t), withKeys(first, second))
	status := func(key string) int {
		now := fmt.Sprint(time.Now().Unix())
		return r.exchange(sent{header: signed(now, sign(key, "t1", now)), body: goodWAV}.raw(), "POST").status
	}
	writeSecret(t, first, keys[2])
	eventually.Await(r.tb, "the new key counts", func() bool {
		if got := status(keys[1]); got != http.StatusOK {
			t.Fatalf("the key that stayed: answered %d", got)
		}
		return status(keys[2]) == http.StatusOK
	})
	if got := status(keys[0]); got != http.StatusUnauthorized {
		t.Errorf("the key that went: answered %d", got)
	}
	writeSecret(t, first, "")
	<-time.After(time.Second) // two looks at the file
	if got := status(keys[2]); got != http.StatusOK {
		t.Errorf("after an empty file: answered %d, want the old key to go on", got)
	}
}

func TestEmptySecretRefusesToStart(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*gateway.Options){
		"HMAC key":      withKeys(secretFile(t, "\n")),
		"missing file":  withKeys(filepath.Join(t.TempDir(), "none")),
		"URL token":     func(o *gateway.Options) { o.URLTokenFiles = []string{secretFile(t, "")} },
		"token in path": func(o *gateway.Options) { o.URLTokenFiles = []string{secretFile(t, "a/b")} },
		"address":       func(o *gateway.Options) { o.AllowFrom = []string{"example.com"} },
		"host bits":     func(o *gateway.Options) { o.AllowFrom = []string{"10.0.0.1/8"} },
		"proxy":         func(o *gateway.Options) { o.TrustedProxies = []string{"all"} },
		"half of TLS":   func(o *gateway.Options) { o.TLSCertFile = "cert.pem" },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := gateway.New(options(t, change)); err == nil {
				t.Error("it starts")
			}
		})
	}
}

func TestURLTokens(t *testing.T) {
	t.Parallel()
	const token, other = "Zm9yIHRoZSBwcm92aWRlcg", "b3IgZm9yIHJvdGF0aW9uLi4"
	r := start(t, natstest.Broker(t), func(o *gateway.Options) {
		o.URLTokenFiles = []string{secretFile(t, token+"\n"), secretFile(t, other)}
	})
	for _, s := range []sent{
		{name: "token", path: "/callbacks/wav/" + token, body: goodWAV, want: 200},
		{name: "other token", path: "/callbacks/wav/" + other, body: goodWAV, want: 200},
		{name: "query ignored", path: "/callbacks/wav/" + token + "?x", body: goodWAV, want: 200},
		{name: "right token, wrong method", method: "GET", path: "/callbacks/wav/" + token, want: 405},

		{name: "no token", path: "/callbacks/wav", body: goodWAV, want: 404},
		{name: "empty token", path: "/callbacks/wav/", body: goodWAV, want: 404},
		{name: "wrong token", path: "/callbacks/wav/" + strings.ToLower(token), body: goodWAV, want: 404},
		{name: "token and more", path: "/callbacks/wav/" + token + "/", body: goodWAV, want: 404},
		{name: "escaped token", path: "/callbacks/wav/%5A" + token[1:], body: goodWAV, want: 404},
		{name: "wrong token, wrong method", method: "GET", path: "/callbacks/wav/nonsense", want: 404},
		{name: "unknown type", path: "/callbacks/lyrics/" + token, body: goodWAV, want: 404},
	} {
		t.Run(s.name, func(t *testing.T) {
			a := r.exchange(s.raw(), s.method)
			a.wellFormed(t)
			if a.status != s.want {
				t.Errorf("answered %d %s, want %d", a.status, a.body, s.want)
			}
		})
	}
	if got := r.count("wav"); got != 1 {
		t.Errorf("%d messages stored, want 1", got)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	allow := func(from, proxy string) func(*gateway.Options) {
		return func(o *gateway.Options) {
			o.AllowFrom = []string{from}
			if proxy != "" {
				o.TrustedProxies = strings.Split(proxy, ",")
			}
		}
	}
	for _, test := range []struct {
		name        string
		from, proxy string
		forwarded   []string
		want        int
	}{
		{"the peer itself", "127.0.0.0/8", "", nil, 200},
		{"another peer", "192.0.2.0/24", "", nil, 403},
		{"forged, no proxy is trusted", "192.0.2.1", "", []string{"192.0.2.1"}, 403},
		{"the peer counts, whatever is forged", "127.0.0.1", "", []string{"192.0.2.1"}, 200},
		{"a proxy vouches", "192.0.2.0/24", "127.0.0.1", []string{"192.0.2.1"}, 200},
		{"the right-most counts", "192.0.2.0/24", "127.0.0.1", []string{"192.0.2.1, 198.51.100.1"}, 403},
		{"proxies in a row", "192.0.2.0/24", "127.0.0.1,198.51.100.1", []string{"203.0.113.9, 192.0.2.1, 198.51.100.1"}, 200},
		{"several headers are one", "192.0.2.0/24", "127.0.0.1", []string{"203.0.113.9", "192.0.2.1"}, 200},
		{"nonsense from a proxy", "0.0.0.0/0", "127.0.0.1", []string{"unknown"}, 403},
		{"IPv4 in IPv6", "192.0.2.0/24", "127.0.0.1", []string{"::ffff:192.0.2.1"}, 200},
		{"the proxy for itself", "127.0.0.1", "127.0.0.1", nil, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, natstest.Broker(t), allow(test.from, test.proxy))
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/callbacks/wav", bytes.NewReader([]byte(goodWAV)))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header["X-Forwarded-For"] = test.forwarded
			a := r.do(request)
			a.wellFormed(t)
			if a.status != test.want {
				t.Errorf("answered %d %s, want %d", a.status, a.body, test.want)
			}
		})
	}
}
