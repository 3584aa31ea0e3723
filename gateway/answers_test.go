package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

const goodWAV = `{"code":200,"msg":"","data":{"task_id":"t1","audioWavUrl":"https://example.com/a.wav"}}`

// sent is one request as raw text, so that no client library tidies it.
type sent struct {
	name   string
	method string // POST
	path   string // /callbacks/wav
	header string // Content-Type: application/json
	body   string
	want   int
}

func (s sent) raw() string {
	if s.method == "" {
		s.method = http.MethodPost
	}
	if s.path == "" {
		s.path = "/callbacks/wav"
	}
	if s.header == "" {
		s.header = "Content-Type: application/json\r\n"
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: fanfare\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		s.method, s.path, s.header, len(s.body), s.body)
}

// exchange sends raw bytes and returns the answer.
func (r *rig) exchange(raw, method string) answer {
	r.tb.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		r.tb.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		r.tb.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		r.tb.Fatalf("read answer to %.200q: %v", raw, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.tb.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	for _, s := range []sent{
		{name: "a callback", body: goodWAV, want: 200},
		{name: "query ignored", path: "/callbacks/wav?a=b", body: goodWAV, want: 200},
		{name: "charset utf-8", header: "Content-Type: application/json; charset=UTF-8\r\n", body: goodWAV, want: 200},
		{name: "identity encoding", header: "Content-Type: application/json\r\nContent-Encoding: identity\r\n", body: goodWAV, want: 200},

		{name: "unknown type", path: "/callbacks/lyrics", body: goodWAV, want: 404},
		{name: "result is no type", path: "/callbacks/result", body: goodWAV, want: 404},
		{name: "envelope is no type", path: "/callbacks/callback", body: goodWAV, want: 404},
		{name: "root", path: "/", want: 404},
		{name: "slash at the end", path: "/callbacks/wav/", body: goodWAV, want: 404},
		{name: "double slash", path: "//callbacks/wav", body: goodWAV, want: 404},
		{name: "double slash inside", path: "/callbacks//wav", body: goodWAV, want: 404},
		{name: "dots", path: "/callbacks/../callbacks/wav", body: goodWAV, want: 404},
		{name: "dot", path: "/./callbacks/wav", body: goodWAV, want: 404},
		{name: "escaped", path: "/callbacks/w%61v", body: goodWAV, want: 404},
		{name: "escaped slash", path: "/callbacks%2Fwav", body: goodWAV, want: 404},
		{name: "upper case", path: "/callbacks/WAV", body: goodWAV, want: 404},
		{name: "unknown path before method", method: "GET", path: "/nowhere", want: 404},

		{name: "GET", method: "GET", want: 405},
		{name: "HEAD", method: "HEAD", want: 405},
		{name: "PUT", method: "PUT", body: goodWAV, want: 405},
		{name: "OPTIONS", method: "OPTIONS", want: 405},
		{name: "OPTIONS *", method: "OPTIONS", path: "*", want: 404},
		{name: "method override", method: "GET", header: "X-HTTP-Method-Override: POST\r\nContent-Type: application/json\r\n", want: 405},
		{name: "lower-case method", method: "post", body: goodWAV, want: 405},

		{name: "too large", body: goodWAV + strings.Repeat(" ", 1<<20), want: 413},

		{name: "no content type", header: "X-A: b\r\n", body: goodWAV, want: 415},
		{name: "text", header: "Content-Type: text/plain\r\n", body: goodWAV, want: 415},
		{name: "two content types", header: "Content-Type: application/json\r\nContent-Type: application/json\r\n", body: goodWAV, want: 415},
		{name: "charset latin", header: "Content-Type: application/json; charset=iso-8859-1\r\n", body: goodWAV, want: 415},
		{name: "charset twice", header: "Content-Type: application/json; charset=utf-8; charset=utf-8\r\n", body: goodWAV, want: 415},
		{name: "charset encoded", header: "Content-Type: application/json; charset*=x''utf-16\r\n", body: goodWAV, want: 415},
		{name: "gzip", header: "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", body: goodWAV, want: 415},

		{name: "empty", want: 400},
		{name: "not JSON", body: "task_id=1", want: 400},
		{name: "no task ID", body: `{"code":200,"msg":"","data":{"audioWavUrl":"https://example.com/a.wav"}}`, want: 400},
		{name: "success without result", body: `{"code":200,"msg":"","data":{"task_id":"t2","audioWavUrl":null}}`, want: 400},
		{name: "file URL", body: `{"code":200,"msg":"","data":{"task_id":"t2","audioWavUrl":"file:///etc/passwd"}}`, want: 400},
	} {
		t.Run(s.name, func(t *testing.T) {
			method := s.method
			a := r.exchange(s.raw(), method)
			if a.status != s.want {
				t.Fatalf("answered %d %s, want %d", a.status, a.body, s.want)
			}
			if method != http.MethodHead {
				a.wellFormed(t)
			}
			if allow := a.header.Get("Allow"); (s.want == 405) != (allow == "POST") {
				t.Errorf("Allow is %q", allow)
			}
			if location := a.header.Get("Location"); location != "" {
				t.Errorf("redirected to %q", location)
			}
		})
	}
	if got := r.count("wav"); got != 1 {
		t.Errorf("%d messages stored, want the one good callback", got)
	}
}

func TestBodyOfFullSizeIsStored(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	body := goodWAV + strings.Repeat(" ", 1<<20-len(goodWAV))
	if a := r.post("/callbacks/wav", []byte(body)); a.status != http.StatusOK {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	if m := r.stored("callbacks.>", 1)[0]; len(m.Body) != 1<<20 {
		t.Errorf("stored %d bytes", len(m.Body))
	}
}

func TestIncompleteBodyIsNeverStored(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	head := "POST /callbacks/wav HTTP/1.1\r\nHost: fanfare\r\nContent-Type: application/json\r\n"
	for name, raw := range map[string]string{
		"short":             head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(goodWAV)+1, goodWAV),
		"chunks unfinished": head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(goodWAV), goodWAV),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, raw); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil { //nolint:forcetypeassert // Dial of tcp
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
				t.Errorf("answered %q, %v", answer, err)
			}
			_ = conn.Close()
		})
	}
	if got := r.count("wav"); got != 0 {
		t.Errorf("%d messages stored", got)
	}
}

func TestBrokerGoneIs503(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	r := start(t, natstest.Provisioned(t, server))
	server.Stop()
	a := r.post("/callbacks/wav", []byte(goodWAV))
	a.wellFormed(t)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
	}
}

func TestShutdownFinishesWhatWasBegun(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	half := len(goodWAV) / 2
	_, err = fmt.Fprintf(conn, "POST /callbacks/wav HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(goodWAV), goodWAV[:half])
	if err != nil {
		t.Fatal(err)
	}
	r.waitInFlight(1)
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	if _, err := io.WriteString(conn, goodWAV[half:]); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("answered %d", response.StatusCode)
	}
	<-stopped
	if got := r.count("wav"); got != 1 {
		t.Errorf("%d messages stored, want 1", got)
	}
}

// waitInFlight waits until so many requests are under way.
func (r *rig) waitInFlight(want float64) {
	r.tb.Helper()
	eventually.Await(r.tb, "the request under way", func() bool { return r.gauge("fanfare_http_requests_in_flight") == want })
}
