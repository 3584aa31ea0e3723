package provider

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/callback"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	key := func() string { return secret }
	for _, row := range []struct {
		name    string
		options Options
		want    string // in the error; "": accepted
	}{
		{"kie.ai", Options{BaseURL: "https://api.kie.ai", Key: key}, ""},
		{"sunoapi.org with a slash", Options{BaseURL: "https://api.sunoapi.org/", Key: key}, ""},
		{"a simulator", Options{BaseURL: "http://127.0.0.1:8089", Key: key, EgressAllow: []string{"127.0.0.1:8089"}}, ""},
		{"no base URL", Options{Key: key}, "BaseURL"},
		{"no key", Options{BaseURL: "https://api.kie.ai"}, "Key"},
		{"a host alone", Options{BaseURL: "api.kie.ai", Key: key}, "BaseURL"},
		{"another scheme", Options{BaseURL: "ftp://api.kie.ai", Key: key}, "BaseURL"},
		{"no host", Options{BaseURL: "https:///api", Key: key}, "BaseURL"},
		{"no URL", Options{BaseURL: "https://" + secret + "\x7f", Key: key}, "BaseURL"},
		{"a password", Options{BaseURL: "https://u:" + secret + "@api.kie.ai", Key: key}, "BaseURL"},
		{"a query", Options{BaseURL: "https://api.kie.ai?key=" + secret, Key: key}, "BaseURL"},
		{"an empty query", Options{BaseURL: "https://api.kie.ai?", Key: key}, "BaseURL"},
		{"a fragment", Options{BaseURL: "https://api.kie.ai#" + secret, Key: key}, "BaseURL"},
		{"a key in the clear", Options{BaseURL: "http://api.example", Key: key}, "in the clear"},
		{"a known host in the clear", Options{BaseURL: "http://API.kie.ai.", Key: key, EgressAllow: []string{"127.0.0.1"}}, "in the clear"},
		{"a bad opening", Options{BaseURL: "https://api.kie.ai", Key: key, EgressAllow: []string{"localhost"}}, "egress"},
		{"a bad user agent", Options{BaseURL: "https://api.kie.ai", Key: key, UserAgent: "a\r\nb: c"}, "UserAgent"},
		{"a negative connect timeout", Options{BaseURL: "https://api.kie.ai", Key: key, ConnectTimeout: -1}, "ConnectTimeout"},
		{"a negative timeout", Options{BaseURL: "https://api.kie.ai", Key: key, Timeout: -1}, "Timeout"},
	} {
		_, err := New(row.options)
		if (err == nil) != (row.want == "") || err != nil && (!strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%s: err = %v, want %q", row.name, err, row.want)
		}
	}
}

// What is promised of every Client, in numbers.
func TestDefaults(t *testing.T) {
	t.Parallel()
	client, err := New(Options{BaseURL: "https://API.kie.ai:443/", Key: func() string { return secret }})
	if err != nil {
		t.Fatal(err)
	}
	transport, ok := client.transport.(*http.Transport)
	if !ok || transport.Proxy != nil || !transport.DisableCompression || transport.ResponseHeaderTimeout != 15*time.Second {
		t.Errorf("transport %+v", client.transport)
	}
	if client.timeout != 15*time.Second || client.userAgent != "fanfare" || maxBodyBytes != 1<<20 {
		t.Errorf("timeout %s, user agent %s, %d bytes", client.timeout, client.userAgent, maxBodyBytes)
	}
	if client.Host() != "api.kie.ai:443" {
		t.Errorf("host %s", client.Host())
	}
}

func TestRequestIsWhatTheProviderDocuments(t *testing.T) {
	t.Parallel()
	keys := []string{"first-" + secret, "second-" + secret}
	asked := make(chan *http.Request, 1)
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r })
	client := clientOf(t, server.URL+"/base/", func(o *Options) {
		o.Key = func() string {
			key := keys[0]
			keys = keys[1:]
			return key
		}
	})
	for _, row := range []struct {
		typ              callback.Type
		id               callback.TaskID
		key, uri, reason string
	}{
		{"music", "2fac****9f72", "first-" + secret, "/base/api/v1/generate/record-info?taskId=2fac%2A%2A%2A%2A9f72", "asterisks are escaped"},
		{"cover", "a:b.c-d_e", "second-" + secret, "/base/api/v1/suno/cover/record-info?taskId=a%3Ab.c-d_e", "the key was rotated"},
	} {
		if _, err := client.Details(t.Context(), contracts(t)[row.typ], row.id); err != nil {
			t.Fatal(err)
		}
		r := <-asked
		if r.Method != http.MethodGet || r.RequestURI != row.uri || r.Header.Get("Authorization") != "Bearer "+row.key {
			t.Errorf("%s: %s %s with %v", row.reason, r.Method, r.RequestURI, r.Header)
		}
		if r.UserAgent() != "fanfare" || r.Header.Get("Accept-Encoding") != "identity" || r.Header.Get("Cookie") != "" {
			t.Errorf("header %v", r.Header)
		}
	}
}

func TestPathsOfTypes(t *testing.T) {
	t.Parallel()
	want := map[callback.Type]string{
		"music": "/api/v1/generate/record-info",
		"wav":   "/api/v1/wav/record-info",
		"video": "/api/v1/mp4/record-info",
		"cover": "/api/v1/suno/cover/record-info",
	}
	for typ, contract := range contracts(t) {
		if d, ok := contract.Details(); !ok || d.Path != want[typ] {
			t.Errorf("%s: %q, want %q", typ, d.Path, want[typ])
		}
	}
}

func TestWhatIsNotAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	client := clientOf(t, server.URL)
	wav := r.contracts["wav"]
	if _, err := client.Details(t.Context(), &callback.Contract{Type: "lyrics"}, taskID); !errors.Is(err, ErrNotPolled) {
		t.Errorf("a type without details: %v", err)
	}
	var invalid *callback.Invalid
	if _, err := client.Details(t.Context(), wav, "a&b="+canary); !errors.As(err, &invalid) || strings.Contains(err.Error(), canary) {
		t.Errorf("no task ID: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Details(ctx, wav, taskID); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, key := range []string{"", secret + "\r\nX: y", secret + "\x00", "schlüssel"} {
		keyless := clientOf(t, server.URL, func(o *Options) { o.Key = func() string { return key } })
		if a := r.details(t, keyless, "wav"); a.Outcome != Refused || a.Code != 0 {
			t.Errorf("key %q: %+v", key, a)
		}
	}
}

func TestOutcomesAreUsableOrNot(t *testing.T) {
	t.Parallel()
	var usable []Outcome
	for _, outcome := range Outcomes() {
		if outcome.Usable() {
			usable = append(usable, outcome)
		}
	}
	if want := []Outcome{Final, Progress, Running, Incomplete, UnknownTask}; !slices.Equal(usable, want) {
		t.Errorf("usable: %v, want %v", usable, want)
	}
}
