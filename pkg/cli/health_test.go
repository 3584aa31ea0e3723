package cli_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealthAsksNoProxy asks a process on this machine where the environment names a proxy, as in a container of a
// Docker client that is set up for one.
func TestHealthAsksNoProxy(t *testing.T) {
	t.Parallel()
	process := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !strings.HasPrefix(r.Host, "127.0.0.1:") {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer process.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a proxy is asked for %s", r.URL)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	_, port, _ := strings.Cut(process.Listener.Addr().String(), ":")
	for _, host := range []string{"127.0.0.1", "0.0.0.0", ""} {
		p := launch(t, "env", "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, built.fanfare(), "health", "--ops-listen", host+":"+port)
		if status := p.wait(); status != 0 {
			t.Errorf("%q: status %d: %s", host, status, p.err.String())
		}
	}
}
