package media

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fanfare/pkg/eventually"
)

// secret stands in the query of every URL under test and must not be told.
const secret = "s3cr3tSignature"

func TestHostileServers(t *testing.T) {
	before := openFiles(t)
	t.Run("all", func(t *testing.T) { testHostileServers(t) })
	eventually.Await(t, "every file and connection is closed", func() bool { return openFiles(t) <= before })
}

// openFiles returns how many files the process has open, connections included.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // where there is no /proc, goleak alone tells of connections
	}
	return len(entries)
}

func testHostileServers(t *testing.T) {
	t.Helper()
	cases := slices.Concat(hostileStatuses(), hostileContents(), hostileConnections(), hostileWires(), hostileRedirects())
	if len(cases) < 90 {
		t.Errorf("only %d kinds of hostility", len(cases))
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, test.handler)
			var observed []*FetchError
			test.options.OnFailure = func(e *FetchError) { observed = append(observed, e) }
			test.options.EgressAllow = []string{server.Listener.Addr().String()}
			archive, root := testArchive(t)
			asset := Asset{Name: "a", Kind: Audio, URLs: []string{server.URL + "/path/a?sig=" + secret}}
			if test.kind != "" {
				asset.Kind = test.kind
			}
			_, err := archive.Store(t.Context(), testFetcher(t, test.options), "wav/t/a", asset, nil)
			failure := fetchFailure(t, err)
			if failure.Reason != test.reason || failure.Status != test.status || failure.RetryAfter != test.retryAfter {
				t.Errorf("got %s, status %d, retry after %s: %v", failure.Reason, failure.Status, failure.RetryAfter, err)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, failure, failure); strings.Contains(text, secret) {
				t.Errorf("the query is told: %s", text)
			}
			if !strings.Contains(err.Error(), server.URL+"/path/a") {
				t.Errorf("%v does not name host and path", err)
			}
			if len(observed) != 1 || observed[0] != failure {
				t.Errorf("observed %v", observed)
			}
			if found := files(t, root); len(found) != 0 {
				t.Errorf("archive holds %s", found)
			}
		})
	}
}

func TestReasons(t *testing.T) {
	reasons := Reasons()
	if len(reasons) != 17 || len(slices.Compact(slices.Sorted(slices.Values(reasons)))) != 17 {
		t.Errorf("got %s", reasons)
	}
	permanent := []Reason{ReasonBadURL, ReasonRefusedAddress, ReasonGone, ReasonExpired, ReasonWrongType, ReasonTooLarge}
	for _, reason := range reasons {
		if got := (&FetchError{Reason: reason}).Permanent(); got != slices.Contains(permanent, reason) {
			t.Errorf("%s: permanent %t", reason, got)
		}
	}
}

func TestBadURLs(t *testing.T) {
	f := testFetcher(t, FetcherOptions{})
	archive, _ := testArchive(t)
	for _, source := range []string{
		"", "a.wav", "/a.wav", "//h.test/a", "ftp://h.test/a", "file:///etc/passwd", "data:audio/wav;base64,UklGRg", "http:", "http://",
		"http:///a", "http:h.test/a", "http://:80/a", "http://u@h.test/", "http://u:p@h.test/", "http://h.test:0/", "http://h.test:99999/",
		"http://h.test:x/", "http://h test/", "http://h.test\\@127.0.0.1/", "http://h.test/\n", "http://[::1/", "http://%31.test/", "gopher://h",
	} {
		_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset(source+"?"+secret), nil)
		failure := fetchFailure(t, err)
		if failure.Reason != ReasonBadURL || !failure.Permanent() || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	tests := []struct {
		name   string
		source string
		reason Reason
	}{
		{"name that does not exist", "http://nowhere.test/a?" + secret, ReasonDNS},
		{"no listener", "http://" + closed.Addr().String() + "/a?" + secret, ReasonConnect},
		{"no listener, https", "https://" + closed.Addr().String() + "/a?" + secret, ReasonConnect},
		{"no TLS", strings.Replace(serveBytes(t, wav(8000)).URL, "http:", "https:", 1) + "/a?" + secret, ReasonTLS},
	}
	f := testFetcherWith(t, FetcherOptions{EgressAllow: loopback()}, resolver(t, nil))
	archive, _ := testArchive(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset(test.source), nil)
			failure := fetchFailure(t, err)
			if failure.Reason != test.reason || failure.Permanent() || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v, want %s", err, test.reason)
			}
		})
	}
}

// A request carries no more than it must, on the last hop as on the first.
func TestRequest(t *testing.T) {
	var (
		mu       sync.Mutex
		requests []*http.Request
	)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, r)
		http.SetCookie(w, &http.Cookie{Name: "track", Value: "me"})
		if n := len(requests); n <= maxRedirects {
			status(http.StatusFound, "Location", "/hop"+strconv.Itoa(n)+"?n="+strconv.Itoa(n))(w, r)
			return
		}
		_, _ = w.Write(wav(8000))
	})
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback(), UserAgent: "fanfare/1.2"})
	archive, _ := testArchive(t)
	source := server.URL + "/a.wav?sig=" + secret
	file, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(source), nil)
	if err != nil || file.SourceURL != source {
		t.Fatalf("got %+v, %v", file, err)
	}
	if len(requests) != maxRedirects+1 {
		t.Fatalf("%d requests", len(requests))
	}
	for i, r := range requests {
		header := r.Header.Clone()
		want := map[string]string{"User-Agent": "fanfare/1.2", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
		for name, value := range want {
			if got := header.Values(name); len(got) != 1 || got[0] != value {
				t.Errorf("request %d: %s %q", i, name, got)
			}
			header.Del(name)
		}
		if len(header) != 0 || r.Method != http.MethodGet {
			t.Errorf("request %d: %s with %v", i, r.Method, header)
		}
	}
}

func TestRedirectLimit(t *testing.T) {
	var requests atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		status(http.StatusFound, "Location", "/")(w, r)
	})
	archive, _ := testArchive(t)
	_, err := archive.Store(t.Context(), testFetcher(t, FetcherOptions{EgressAllow: loopback()}), "wav/t/a", wavAsset(server.URL), nil)
	if failure := fetchFailure(t, err); failure.Reason != ReasonRedirect || requests.Load() != maxRedirects+1 {
		t.Errorf("got %v after %d requests", err, requests.Load())
	}
}

func TestProxyFromEnvironmentIsIgnored(t *testing.T) {
	proxy := serve(t, status(http.StatusTeapot))
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	f := testFetcher(t, FetcherOptions{EgressAllow: []string{proxy.Listener.Addr().String()}})
	archive, _ := testArchive(t)
	_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset("http://10.0.0.1/a"), nil)
	if failure := fetchFailure(t, err); failure.Reason != ReasonRefusedAddress {
		t.Errorf("got %v", err)
	}
}

func TestIdentityEncodingIsContent(t *testing.T) {
	content := bytes.Repeat(wav(8000), 10)
	server := serve(t, body(content, "Content-Encoding", "Identity"))
	archive, _ := testArchive(t)
	file, err := archive.Store(
		t.Context(), testFetcher(t, FetcherOptions{EgressAllow: loopback(), MaxBytes: int64(len(content))}), "wav/t/a", wavAsset(server.URL), nil)
	if err != nil || file.SHA256 != sha(content) {
		t.Errorf("got %+v, %v", file, err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"", 0},
		{"0", 0},
		{"5", 5 * time.Second},
		{"3601", time.Hour},
		{"99999999999999999999", 0},
		{"-5", 0},
		{"1.5", 0},
		{"soon", 0},
		{now.Add(time.Minute).Format(http.TimeFormat), time.Minute},
		{now.Add(-time.Minute).Format(http.TimeFormat), 0},
		{now.AddDate(1, 0, 0).Format(http.TimeFormat), time.Hour},
	}
	for _, test := range tests {
		if got := RetryAfter(test.value, now); got != test.want {
			t.Errorf("RetryAfter(%q) = %s, want %s", test.value, got, test.want)
		}
	}
}

// What is promised of every Fetcher, in numbers.
func TestFetcherDefaults(t *testing.T) {
	f, err := NewFetcher(FetcherOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := f.options
	o.OnFailure = nil
	want := FetcherOptions{
		UserAgent: "fanfare", ConnectTimeout: 5 * time.Second, HeaderTimeout: 15 * time.Second, TotalTimeout: 15 * time.Minute,
		SlowWindow: 30 * time.Second, MinBytesPerSecond: 16 << 10, MaxBytes: 1 << 30,
	}
	if got := fmt.Sprintf("%+v", o); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
	if maxRedirects != 3 || !f.dial.tcp.Resolver.PreferGo || f.dial.tcp.Timeout != o.ConnectTimeout || f.dial.tcp.Control == nil {
		t.Errorf("redirects %d, dialer %+v", maxRedirects, f.dial.tcp)
	}
	tr := f.transport
	if tr.Proxy != nil || !tr.DisableCompression || tr.ForceAttemptHTTP2 || tr.ResponseHeaderTimeout != o.HeaderTimeout || tr.MaxResponseHeaderBytes != 32<<10 {
		t.Errorf("transport %+v", tr)
	}
}

func TestFetcherOptions(t *testing.T) {
	for _, options := range []FetcherOptions{
		{ConnectTimeout: -1},
		{HeaderTimeout: -1},
		{TotalTimeout: -1},
		{SlowWindow: -1},
		{MinBytesPerSecond: -1},
		{MaxBytes: -1},
		{UserAgent: "a\r\nb"},
		{UserAgent: "fänfare"},
	} {
		if _, err := NewFetcher(options); err == nil {
			t.Errorf("%+v is accepted", options)
		}
	}
}

// What may pass decides over what will not, whatever the order.
func TestFetchErrorsUnwrap(t *testing.T) {
	gone, slow := &FetchError{URL: "http://a/", Reason: ReasonGone}, &FetchError{URL: "http://b/", Reason: ReasonTooSlow}
	for _, all := range []fetchErrors{{gone, slow}, {slow, gone}} {
		var failure *FetchError
		if err := fmt.Errorf("store: %w", all); !errors.As(err, &failure) || failure != slow {
			t.Errorf("%v: decided by %v", err, failure)
		}
	}
}
