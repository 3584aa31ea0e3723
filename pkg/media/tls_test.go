package media

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func serveTLS(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	return serveTLSWith(t, &tls.Config{}, handler)
}

func serveTLSWith(t *testing.T, config *tls.Config, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func trust(f *Fetcher, server *httptest.Server) {
	f.dial.tls.RootCAs = x509.NewCertPool()
	f.dial.tls.RootCAs.AddCert(server.Certificate())
}

func TestTLS(t *testing.T) {
	plain := serveBytes(t, wav(8000))
	downgrading := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			status(http.StatusFound, "Location", plain.URL+"/?"+secret)(w, r)
			return
		}
		_, _ = w.Write(wav(8000))
	})
	upgrading := serve(t, status(http.StatusFound, "Location", downgrading.URL+"/up"))
	untrusted := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	trusting := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	trust(trusting, downgrading)
	tests := []struct {
		name    string
		fetcher *Fetcher
		source  string
		reason  Reason // "" for success
	}{
		{"unknown authority", untrusted, downgrading.URL, ReasonTLS},
		{"known authority", trusting, downgrading.URL, ""},
		{"from http to https", trusting, upgrading.URL, ""},
		{"from https to http", trusting, downgrading.URL + "/down", ReasonRedirect},
		{"http to a TLS port", trusting, "http" + downgrading.URL[len("https"):], ReasonHTTPStatus},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			archive, _ := testArchive(t)
			_, err := archive.Store(t.Context(), test.fetcher, "wav/t/a", wavAsset(test.source), nil)
			if test.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failure := fetchFailure(t, err); failure.Reason != test.reason {
				t.Errorf("got %v, want %s", err, test.reason)
			}
		})
	}
}

func TestCertificateOfAnotherName(t *testing.T) {
	server := serveTLS(t, body(wav(8000)))
	f := testFetcherWith(t, FetcherOptions{EgressAllow: loopback()}, resolver(t, map[string][]string{"media.test.": {"127.0.0.1"}}))
	trust(f, server)
	archive, _ := testArchive(t)
	port := server.URL[len("https://127.0.0.1"):]
	_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset("https://media.test"+port), nil)
	if failure := fetchFailure(t, err); failure.Reason != ReasonTLS {
		t.Errorf("got %v", err)
	}
}

// A peer that accepts and stays silent during the handshake is given up.
func TestHandshakeHangs(t *testing.T) {
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { hold(r) })
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback(), ConnectTimeout: 100 * time.Millisecond})
	archive, _ := testArchive(t)
	_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset("https"+server.URL[len("http"):]), nil)
	// On a machine that is slow enough the connection itself takes too long.
	if failure := fetchFailure(t, err); failure.Reason != ReasonTLS && failure.Reason != ReasonConnect {
		t.Errorf("got %v", err)
	}
}
