package gateway

import (
	"encoding/base64"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// FuzzSignatureHeaders: what is accepted is digits within the tolerance and the
// base64 of 32 bytes, one of each.
func FuzzSignatureHeaders(f *testing.F) {
	now := time.Unix(1769670760, 0)
	mac := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, seed := range [][3]string{
		{"1769670760", mac, ""},
		{"1769670460", mac, ""},
		{"9223372036854775807", mac, ""},
		{"-1", mac, ""},
		{"１", mac, ""},
		{"", "", ""},
		{"1769670760", mac[:43], ""},
		{"1769670760", mac + "\n", ""},
		{"1769670760", mac, mac},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, timestamp, first, second string) {
		h := http.Header{headerTimestamp: {timestamp}, headerSignature: {first}}
		if second != "" {
			h[headerSignature] = append(h[headerSignature], second)
		}
		s, err := readSignature(h, now, 5*time.Minute)
		if err != nil {
			return
		}
		seconds, parseErr := strconv.ParseInt(timestamp, 10, 64)
		if second != "" || parseErr != nil || strings.ContainsAny(timestamp, "+-_") || seconds < now.Unix()-300 || seconds > now.Unix()+300 {
			t.Errorf("accepted timestamp %q with signatures %q, %q", timestamp, first, second)
		}
		if base64.StdEncoding.EncodeToString(s.mac) != first || len(s.mac) != 32 {
			t.Errorf("accepted signature %q", first)
		}
		if s.signs("task", nil) {
			t.Error("signed without a key")
		}
	})
}

// FuzzContentType: what is accepted is application/json by an independent look
// at the text, and nothing but UTF-8.
func FuzzContentType(f *testing.F) {
	for _, seed := range [][2]string{
		{"application/json", ""},
		{"application/json; charset=utf-8", "identity"},
		{"APPLICATION/JSON;charset=\"UTF-8\"", ""},
		{"application/json, text/html", ""},
		{"application/jsonp", ""},
		{"text/json", ""},
		{"application/json;charset=utf-16", ""},
		{"application/json", "gzip"},
		{"application/json; charset=utf-8; charset=latin1", ""},
		{"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, contentType, encoding string) {
		h := http.Header{"Content-Type": {contentType}}
		if encoding != "" {
			h["Content-Encoding"] = []string{encoding}
		}
		if !acceptable(h) {
			return
		}
		essence, _, _ := strings.Cut(contentType, ";")
		if !strings.EqualFold(strings.TrimSpace(essence), "application/json") || encoding != "" && !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			t.Errorf("accepted %q, encoded as %q", contentType, encoding)
		}
		if _, parameters, err := mime.ParseMediaType(contentType); err != nil || parameters["charset"] != "" && !strings.EqualFold(parameters["charset"], "utf-8") {
			t.Errorf("accepted %q", contentType)
		}
		h.Add("Content-Type", contentType)
		if acceptable(h) {
			t.Errorf("accepted %q twice", contentType)
		}
	})
}

// FuzzRoute: a path is a callback URL only as it stands in the documents, and
// nothing is ever redirected.
func FuzzRoute(f *testing.F) {
	contracts, err := callback.LoadContracts()
	if err != nil {
		f.Fatal(err)
	}
	g, err := New(Options{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Contracts: contracts,
		Store: (*broker.Broker)(nil), Listen: "127.0.0.1:0",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = g.listener.Close() })
	for _, seed := range []string{
		"/callbacks/wav", "/callbacks/wav/", "//callbacks/wav", "/callbacks//wav", "/callbacks/./wav", "/callbacks/w%61v", "/callbacks%2fwav",
		"/CALLBACKS/wav", "/callbacks/wav;a=b", "/callbacks/wav?a", "/callbacks/wav%00", "/callbacks/../callbacks/wav", "/", "*", "http://a/callbacks/wav",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		g.server.Handler.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: u, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody})
		known := contracts[callback.Type(strings.TrimPrefix(u.EscapedPath(), "/callbacks/"))] != nil && strings.HasPrefix(u.EscapedPath(), "/callbacks/")
		want := http.StatusNotFound
		if known {
			want = http.StatusMethodNotAllowed
		}
		if w.Code != want || w.Header().Get("Location") != "" {
			t.Errorf("%q: answered %d, want %d; Location %q", target, w.Code, want, w.Header().Get("Location"))
		}
	})
}

// FuzzPeer: only a trusted proxy is believed.
func FuzzPeer(f *testing.F) {
	proxies, err := parseNetworks("test", []string{"127.0.0.1", "10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "192.0.2.1", "192.0.2.1, 10.1.1.1", "::ffff:192.0.2.1", "a, b", ",", "192.0.2.1:80", "fe80::1%eth0"} {
		f.Add("127.0.0.1:5", seed)
		f.Add("192.0.2.9:5", seed)
	}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		addr, known := peer(r, proxies)
		alone, aloneKnown := peer(&http.Request{RemoteAddr: remote, Header: http.Header{}}, proxies)
		if known && !aloneKnown {
			t.Errorf("%q became known through %q", remote, forwarded)
		}
		if aloneKnown && !proxies.contain(alone) && addr != alone {
			t.Errorf("%q was believed to be %s", remote, addr)
		}
	})
}
