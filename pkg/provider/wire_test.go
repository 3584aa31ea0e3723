package provider

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pad returns an answer of n bytes in all.
func pad(n int) string {
	body := record(`"status":"PENDING","param":"%s"`)
	return fmt.Sprintf(body, strings.Repeat("x", n-len(body)+len("%s")))
}

// hold keeps a request open until its client has gone.
func hold(r *http.Request) { <-r.Context().Done() }

// broken answers in ways that no provider should.
func broken() map[string]struct {
	handler http.HandlerFunc
	want    Outcome
} {
	type row = struct {
		handler http.HandlerFunc
		want    Outcome
	}
	return map[string]row{
		"as large as allowed": {func(w http.ResponseWriter, _ *http.Request) { write(w, pad(maxBodyBytes)) }, Running},
		"one byte more":       {func(w http.ResponseWriter, _ *http.Request) { write(w, pad(maxBodyBytes+1)) }, Unusable},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, Unusable},
		"too large an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			write(w, strings.Repeat(canary, maxBodyBytes))
		}, Unavailable},
		"empty": {func(http.ResponseWriter, *http.Request) {}, Unusable},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			write(w, record(`"status":"SUCCESS"`))
		}, Unavailable},
		"cut within a chunk": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, record(`"status":"SUCCESS"`))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, Unavailable},
		"reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Unavailable},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = io.WriteString(conn, canary+"\r\n\r\n")
				_ = conn.Close()
			}
		}, Unavailable},
		"other protocols": {func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
				_ = conn.Close()
			}
		}, Unusable},
		"a gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.Copy(z, io.LimitReader(zeros{}, 512<<20))
			_ = z.Close()
		}, Unusable},
		"gzip that does not say so": {func(w http.ResponseWriter, _ *http.Request) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			write(z, record(`"status":"PENDING"`))
			_ = z.Close()
			_, _ = w.Write(b.Bytes())
		}, Unusable},
		"an error that is no JSON": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>"+canary, http.StatusServiceUnavailable)
		}, Unavailable},
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, row := range broken() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := r.details(t, clientOf(t, serve(t, row.handler).URL), "music"); a.Outcome != row.want {
				t.Errorf("%+v, want %s", a, row.want)
			}
		})
	}
}

func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, handler := range map[string]http.HandlerFunc{
		"no header": func(_ http.ResponseWriter, r *http.Request) { hold(r) },
		"no body": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			hold(r)
		},
		"half a body": func(w http.ResponseWriter, r *http.Request) {
			write(w, `{"code":200,"data":{"taskId":"`)
			_ = http.NewResponseController(w).Flush()
			hold(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, handler)
			hurried := clientOf(t, server.URL, func(o *Options) { o.Timeout = 50 * time.Millisecond })
			if a := r.details(t, hurried, "wav"); a.Outcome != Unavailable || !strings.Contains(a.Detail, "timeout") {
				t.Errorf("%+v", a)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := clientOf(t, server.URL).Details(ctx, r.contracts["wav"], taskID)
			if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), secret) {
				t.Errorf("the caller's own deadline: %v", err)
			}
		})
	}
}

// A redirect is not followed, wherever it leads: the key goes to one host.
func TestRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var led atomic.Int64
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { led.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{elsewhere.URL, "/here?" + canary, "", "http://10.0.0.1/"} {
			var asked atomic.Int64
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("Location", to)
				w.WriteHeader(status)
				write(w, `{"code":422,"msg":"never read"}`)
			})
			a := r.details(t, clientOf(t, server.URL), "video")
			if a.Outcome != Refused || int(a.Code) != status || asked.Load() != 1 {
				t.Errorf("%d to %q: asked %d times: %+v", status, to, asked.Load(), a)
			}
		}
	}
	if led.Load() != 0 {
		t.Errorf("%d redirects were followed", led.Load())
	}
}

// Not parallel: it sets the environment.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	r := newRig(t)
	var proxied atomic.Int64
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	client := clientOf(t, "http://192.0.2.1:9", func(o *Options) { o.EgressAllow = []string{"127.0.0.1"} })
	if a := r.details(t, client, "wav"); a.Outcome != Unavailable || proxied.Load() != 0 {
		t.Errorf("proxied %d times: %+v", proxied.Load(), a)
	}
}

func TestConnectionsThatCannotBe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	_ = listener.Close()
	untrusted := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	plain := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	for name, row := range map[string]struct {
		base, detail string
		allow        []string
	}{
		"nobody listens":             {closed, "connect", []string{"127.0.0.1"}},
		"an address not opened":      {plain.URL, "refused_address", []string{"127.0.0.2"}},
		"a name of this host":        {strings.Replace(plain.URL, "127.0.0.1", "localhost", 1), "", []string{"127.0.0.2"}},
		"a certificate of nobody's":  {untrusted.URL, "tls", []string{"127.0.0.1"}},
		"a private address":          {"https://10.1.2.3", "refused_address", nil},
		"the metadata of a cloud":    {"https://169.254.169.254", "refused_address", nil},
		"this host, in other digits": {"https://[::ffff:127.0.0.1]", "refused_address", nil},
	} {
		client := clientOf(t, row.base, func(o *Options) { o.EgressAllow = row.allow })
		if a := r.details(t, client, "wav"); a.Outcome != Unavailable || a.Code != 0 || !strings.HasPrefix(a.Detail, row.detail) {
			t.Errorf("%s: %+v, want it unavailable for %s", name, a, row.detail)
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"86400":                         time.Hour,
		"soon":                          0,
		"-1":                            0,
		"Fri, 31 Dec 1999 23:59:59 GMT": 0,
		"Fri, 31 Dec 9999 23:59:59 GMT": time.Hour,
	} {
		for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusOK} {
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", value)
				w.WriteHeader(status)
				write(w, `{"code":429,"msg":"`+canary+`","data":null}`)
			})
			if a := r.details(t, clientOf(t, server.URL), "wav"); a.Wait != want || a.Outcome != Throttled || a.Code != 429 {
				t.Errorf("Retry-After %q at status %d: %+v, want %s", value, status, a, want)
			}
		}
	}
}
