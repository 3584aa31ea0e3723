package media

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// gzipBomb is little that wants to become 16 MiB.
func gzipBomb() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for range 16 {
		_, _ = w.Write(make([]byte, 1<<20))
	}
	_ = w.Close()
	return b.Bytes()
}

// wire takes over a connection and hands it to do, with a context that ends when
// the client has gone.
func wire(do func(ctx context.Context, conn *net.TCPConn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			defer cancel()
			_, _ = conn.Read(make([]byte, 1))
		}()
		do(ctx, conn.(*net.TCPConn))
		_ = conn.Close()
		<-gone
	}
}

// reset sends an answer's beginning and breaks the connection.
func reset(answer string) http.HandlerFunc {
	return wire(func(_ context.Context, conn *net.TCPConn) {
		_, _ = conn.Write([]byte(answer))
		if answer != "" {
			<-time.After(20 * time.Millisecond) // or it may overtake what was sent
		}
		_ = conn.SetLinger(0)
	})
}

// stuck sends an answer's beginning and no more.
func stuck(answer string) http.HandlerFunc {
	return wire(func(ctx context.Context, conn *net.TCPConn) {
		_, _ = conn.Write([]byte(answer))
		<-ctx.Done()
	})
}

// flood sends a beginning, and then the same again and again.
func flood(begin, again string) http.HandlerFunc {
	return wire(func(_ context.Context, conn *net.TCPConn) {
		_, err := conn.Write([]byte(begin))
		for err == nil {
			_, err = conn.Write([]byte(again))
		}
	})
}

// trickle sends a beginning, and then a byte now and then.
func trickle(begin string) http.HandlerFunc {
	return wire(func(ctx context.Context, conn *net.TCPConn) {
		_, err := conn.Write([]byte(begin))
		for err == nil && ctx.Err() == nil {
			<-time.After(10 * time.Millisecond)
			_, err = conn.Write([]byte("x"))
		}
	})
}

// hostileWires are servers that speak HTTP badly or not at all.
func hostileWires() []hostileCase {
	const ok, chunked = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	short := 100 * time.Millisecond
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(wav(8000)), wav(8000))
	return []hostileCase{
		{name: "resets at once", handler: reset(""), reason: ReasonReset},
		{name: "resets in the header", handler: reset(ok + "Content-"), reason: ReasonReset},
		{name: "resets in the content", handler: reset(ok + "Content-Length: 90000\r\n\r\n" + string(wav(8000))), reason: ReasonReset},
		{name: "hangs in the header", handler: stuck(ok + "Content-"), options: FetcherOptions{HeaderTimeout: short}, reason: ReasonTimeout},
		{name: "hangs in the status", handler: stuck("HTTP/1."), options: FetcherOptions{HeaderTimeout: short}, reason: ReasonTimeout},
		{name: "hangs after 100", handler: stuck("HTTP/1.1 100 Continue\r\n\r\n"), options: FetcherOptions{HeaderTimeout: short}, reason: ReasonTimeout},
		{name: "hangs in a chunk's length", handler: stuck(chunked + chunk + "1f"), options: FetcherOptions{SlowWindow: short}, reason: ReasonTooSlow},
		{name: "hangs in the trailer", handler: stuck(chunked + chunk + "0\r\nX-"), options: FetcherOptions{SlowWindow: short}, reason: ReasonTooSlow},
		{name: "a header that trickles", handler: trickle(ok + "X-Fill: "), options: FetcherOptions{HeaderTimeout: short}, reason: ReasonTimeout},
		{
			name: "content that trickles", handler: trickle(ok + "\r\n" + string(wav(8000))),
			options: FetcherOptions{SlowWindow: short, MinBytesPerSecond: 1 << 10}, reason: ReasonTooSlow,
		},
		{name: "a header without end", handler: flood(ok+"X-Fill: ", strings.Repeat("x", 1<<10)), reason: ReasonReset},
		{name: "headers without end", handler: flood(ok, "X-Fill: x\r\n"), reason: ReasonReset},
		{name: "early hints without end", handler: flood("", "HTTP/1.1 103 Early Hints\r\n\r\n"), reason: ReasonReset},
		{name: "chunks without end", handler: flood(chunked, chunk), options: FetcherOptions{MaxBytes: 1 << 20}, reason: ReasonTooLarge},
		{name: "a chunk's length without end", handler: flood(chunked+chunk, "0"), reason: ReasonReset},
		{name: "chunks of little but padding", handler: flood(chunked+chunk, "1;"+strings.Repeat("x", 2000)+"\r\nx\r\n"), reason: ReasonReset},
		{name: "a trailer without end", handler: flood(chunked+chunk+"0\r\nX-Fill: ", strings.Repeat("x", 1<<10)), reason: ReasonReset},
		{name: "a length that is none", handler: raw(ok + "Content-Length: many\r\n\r\n" + string(wav(8000))), reason: ReasonReset},
		{name: "a negative length", handler: raw(ok + "Content-Length: -1\r\n\r\n" + string(wav(8000))), reason: ReasonReset},
		{name: "two lengths", handler: raw(ok + "Content-Length: 8044\r\nContent-Length: 9\r\n\r\n" + string(wav(8000))), reason: ReasonReset},
		{name: "a length beyond all limits", handler: raw(ok + "Content-Length: 9223372036854775807\r\n\r\n" + string(wav(8000))), reason: ReasonTooLarge},
		{name: "an unknown encoding of the transfer", handler: raw(ok + "Transfer-Encoding: gzip\r\n\r\n" + string(wav(8000))), reason: ReasonReset},
	}
}

// helperExcess names the environment variable that makes TestLengthTooShort do
// what it tests.
const helperExcess = "FANFARE_MEDIA_TEST_EXCESS"

// Content-Length may be less than what comes: the answer ends where it says, and
// the rest is neither stored nor taken for the next answer, nor logged.
func TestLengthTooShort(t *testing.T) {
	if os.Getenv(helperExcess) == "" {
		helper := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLengthTooShort$")
		helper.Env = append(os.Environ(), helperExcess+"=1")
		if output, err := helper.CombinedOutput(); err != nil || bytes.Contains(output, []byte("nsolicited")) {
			t.Errorf("%v\n%s", err, output)
		}
		return
	}
	content := wav(8000)
	excess := "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + secret
	server := serve(t, raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s", len(content), content, excess)))
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	archive, root := testArchive(t)
	for n := range 3 {
		file, err := archive.Store(t.Context(), f, fmt.Sprintf("wav/t/%d", n), wavAsset(server.URL), nil)
		if err != nil || file.SHA256 != sha(content) {
			t.Errorf("got %+v, %v", file, err)
		}
	}
	if len(files(t, root)) != 3 {
		t.Errorf("archive holds %s", files(t, root))
	}
}

// A link that is new may not be known everywhere yet: the next try has the file.
func TestNotFoundThenFound(t *testing.T) {
	var requests atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			status(http.StatusNotFound, "Retry-After", "2")(w, r)
			return
		}
		_, _ = w.Write(wav(8000))
	})
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	archive, _ := testArchive(t)
	_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset(server.URL), nil)
	if failure := fetchFailure(t, err); failure.Reason != ReasonNotFound || failure.Permanent() || failure.RetryAfter != 2*time.Second {
		t.Errorf("got %+v", failure)
	}
	if _, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset(server.URL), nil); err != nil {
		t.Error(err)
	}
}

// A date counts from now on.
func TestRetryAfterDate(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status(http.StatusTooManyRequests, "Retry-After", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))(w, r)
	})
	archive, _ := testArchive(t)
	_, err := archive.Store(t.Context(), testFetcher(t, FetcherOptions{EgressAllow: loopback()}), "wav/t/a", wavAsset(server.URL), nil)
	if after := fetchFailure(t, err).RetryAfter; after <= time.Minute || after > 90*time.Second {
		t.Errorf("retry after %s", after)
	}
}

// A name server that is silent is given up. The resolver itself waits longer.
func TestNameServerHangs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		context.AfterFunc(ctx, func() { _ = errors.Join(ours.Close(), theirs.Close()) })
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		return ours, ctx.Err()
	}}
	defer cancel()
	f := testFetcherWith(t, FetcherOptions{ConnectTimeout: 100 * time.Millisecond}, resolver)
	archive, _ := testArchive(t)
	start := time.Now()
	_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset("http://media.test/a"), nil)
	failure := fetchFailure(t, err)
	if (failure.Reason != ReasonDNS && failure.Reason != ReasonConnect) || failure.Permanent() || time.Since(start) > patience/3 {
		t.Errorf("got %v after %s", err, time.Since(start))
	}
}

// certificate makes a certificate of 127.0.0.1 that signs itself.
func certificate(t *testing.T, from, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "media"}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestBadCertificates(t *testing.T) {
	now := time.Now()
	valid := certificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	tests := []struct {
		name    string
		config  *tls.Config
		trusted bool
		works   bool
	}{
		{"valid", &tls.Config{Certificates: []tls.Certificate{valid}}, true, true},
		{"self-signed", &tls.Config{Certificates: []tls.Certificate{valid}}, false, false},
		{"expired", &tls.Config{Certificates: []tls.Certificate{certificate(t, now.Add(-2*time.Hour), now.Add(-time.Hour))}}, true, false},
		{"not yet valid", &tls.Config{Certificates: []tls.Certificate{certificate(t, now.Add(time.Hour), now.Add(2*time.Hour))}}, true, false},
		{"old protocol", &tls.Config{Certificates: []tls.Certificate{valid}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := serveTLSWith(t, test.config, body(wav(8000)))
			f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
			if test.trusted {
				f.dial.tls.RootCAs = x509.NewCertPool()
				f.dial.tls.RootCAs.AddCert(test.config.Certificates[0].Leaf)
			}
			archive, root := testArchive(t)
			_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset(server.URL), nil)
			if test.works {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failure := fetchFailure(t, err); failure.Reason != ReasonTLS || failure.Permanent() || len(files(t, root)) != 0 {
				t.Errorf("got %v", err)
			}
		})
	}
}
