package media

import (
	"net/http"
	"strings"
	"testing"
)

func TestHostList(t *testing.T) {
	tests := []struct {
		entries   string
		held, not []string
	}{
		{"", []string{"any.test", "10.0.0.1", "::1", "ü.test"}, nil},
		{"cdn1.suno.ai", []string{"cdn1.suno.ai", "CDN1.Suno.AI", "cdn1.suno.ai."}, []string{
			"suno.ai", "x.cdn1.suno.ai", "xcdn1.suno.ai", "cdn1.suno.ai.evil.test", "cdn1.suno.ai..", "", ".cdn1.suno.ai", "cdn1.suno.a\u0131",
		}},
		{"*.suno.ai", []string{"cdn1.suno.ai", "a.b.suno.ai", "CDN1.SUNO.AI."}, []string{
			"suno.ai", ".suno.ai", "evilsuno.ai", "cdn1.suno.ai.evil.test", "suno.ai.evil.test", "cdn1。suno.ai", "127.0.0.1",
		}},
		{"a.test *.b.test Musicfile.Kie.AI.", []string{"a.test", "x.b.test", "musicfile.kie.ai"}, []string{"b.test", "x.a.test"}},
		{"127.0.0.1 ::1", []string{"127.0.0.1", "::ffff:127.0.0.1", "::1", "0:0:0:0:0:0:0:1"}, []string{"127.0.0.2", "localhost", "::2", "127.1"}},
		{"::ffff:10.0.0.1", []string{"10.0.0.1", "::ffff:a00:1"}, []string{"::10.0.0.1"}},
		{"under_score.test xn--bcher-kva.test", []string{"under_score.test", "xn--bcher-kva.test"}, []string{"bücher.test"}},
	}
	for _, test := range tests {
		t.Run(test.entries, func(t *testing.T) {
			l, err := newHostList(strings.Fields(test.entries))
			if err != nil {
				t.Fatal(err)
			}
			for _, host := range test.held {
				if !l.holds(host) {
					t.Errorf("%q is not held", host)
				}
			}
			for _, host := range test.not {
				if l.holds(host) {
					t.Errorf("%q is held", host)
				}
			}
		})
	}
}

func TestHostsInvalid(t *testing.T) {
	for _, entry := range []string{
		"", ".", "*", "*.", "*.*.test", "a.*.test", "a*.test", "*a.test", "**.test", ".test", "a..test", "a.test..", "https://a.test", "a.test/",
		"a.test:443", "[::1]", "::1:80x", "a test", "a.test,b.test", "bücher.test", "127.1", "0x7f.1", "*.1.2.3", "*.127.0.0.1", "10.0.0.0/8", "user@a.test", "a=b",
	} {
		_, err := NewFetcher(FetcherOptions{Hosts: []string{"a.test", entry}})
		if err == nil || !strings.Contains(err.Error(), "fetcher options: host ") {
			t.Errorf("Hosts %q: error %v", entry, err)
		}
	}
}

// Only listed hosts are asked, on the last hop as on the first; a list opens no
// forbidden address.
func TestHostsOnEveryHop(t *testing.T) {
	media := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			status(http.StatusFound, "Location", to)(w, r)
			return
		}
		_, _ = w.Write(wav(8000))
	})
	port := media.URL[len("http://127.0.0.1"):]
	names := map[string][]string{
		"cdn.media.test.": {"127.0.0.1"}, "media.test.": {"127.0.0.1"}, "other.test.": {"127.0.0.1"}, "inside.media.test.": {"10.0.0.1"},
		"start.test.": {"127.0.0.1"},
	}
	f := testFetcherWith(t, FetcherOptions{EgressAllow: loopback(), Hosts: []string{"start.test", "*.media.test"}}, resolver(t, names))
	tests := []struct {
		name, source string
		works        bool
	}{
		{"a listed host", "http://cdn.media.test" + port + "/", true},
		{"in capitals", "http://CDN.Media.Test" + port + "/", true},
		{"a redirect among listed hosts", "http://start.test" + port + "/?to=http://cdn.media.test" + port + "/", true},
		{"a redirect on the same host", "http://start.test" + port + "/?to=/", true},
		{"another host", "http://other.test" + port + "/", false},
		{"the wildcard's own", "http://media.test" + port + "/", false},
		{"by its address", "http://127.0.0.1" + port + "/", false},
		{"a redirect to another host", "http://start.test" + port + "/?to=http://other.test" + port + "/", false},
		{"a redirect to an address", "http://start.test" + port + "/?to=http://127.0.0.1" + port + "/", false},
		{"a second redirect", "http://start.test" + port + "/?to=http://cdn.media.test" + port + "/%3Fto=http://other.test" + port + "/", false},
		{"a forbidden address", "http://inside.media.test" + port + "/", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			archive, _ := testArchive(t)
			_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset(test.source), nil)
			if test.works {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failure := fetchFailure(t, err); failure.Reason != ReasonRefusedAddress || !failure.Permanent() {
				t.Errorf("got %v", err)
			}
		})
	}
}
