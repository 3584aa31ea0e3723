package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

// held is a store that does not answer before it is let go.
type held struct {
	*broker.Broker
	begun chan struct{}
	let   chan struct{}
}

func (h held) Publish(ctx context.Context, cb callback.Callback) (broker.Published, error) {
	h.begun <- struct{}{}
	<-h.let
	return h.Broker.Publish(ctx, cb)
}

func TestBeyondTheInFlightLimitCallersAreToldToComeAgain(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	h := held{b, make(chan struct{}), make(chan struct{})}
	r := startWith(t, b, h, func(o *gateway.Options) { o.MaxInFlight = 2 })
	answers := make(chan answer, 2)
	for i := range 2 {
		go func() {
			answers <- r.post("/callbacks/wav", []byte(strings.Replace(goodWAV, "t1", fmt.Sprint("t", i), 1)))
		}()
		<-h.begun
	}
	a := r.post("/callbacks/wav", []byte(goodWAV))
	a.wellFormed(t)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
	}
	close(h.let)
	for range 2 {
		if a := <-answers; a.status != http.StatusOK {
			t.Errorf("one that was accepted: answered %d %s", a.status, a.body)
		}
	}
}

func TestHeaderSizes(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	for kib, want := range map[int]int{31: 200, 33: 431, 35: 431} {
		header := "Content-Type: application/json\r\nX-Padding: " + strings.Repeat("x", kib<<10) + "\r\n"
		if a := r.exchange(sent{header: header, body: goodWAV}.raw(), "POST"); a.status != want {
			t.Errorf("%d KiB: answered %d %s, want %d", kib, a.status, a.body, want)
		}
	}
}

func TestFraming(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	head := "POST /callbacks/wav HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Type: application/json\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(goodWAV))
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(goodWAV), goodWAV)
	for _, test := range []struct {
		name, raw string
		want      int
	}{
		{"length and chunks", head + length + "Transfer-Encoding: chunked\r\n\r\n" + chunk, 400},
		{"chunks and length", head + "Transfer-Encoding: chunked\r\n" + length + "\r\n" + chunk, 400},
		{"the length twice", head + length + length + "\r\n" + goodWAV, 400},
		{"two lengths", head + length + "Content-Length: 3\r\n\r\n" + goodWAV, 400},
		{"signed length", head + "Content-Length: +3\r\n\r\n" + goodWAV, 400},
		{"negative length", head + "Content-Length: -3\r\n\r\n" + goodWAV, 400},
		{"other encoding", head + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk, 501},
		{"no host", "POST /callbacks/wav HTTP/1.1\r\nContent-Type: application/json\r\n" + length + "\r\n" + goodWAV, 400},
		{"HTTP/1.0", strings.Replace(head, "1.1", "1.0", 1) + length + "\r\n" + goodWAV, 505},
		{"HTTP/2 in clear", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404},
		{"chunks", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk, 200},
	} {
		if test.want == 200 && r.count("wav") != 0 {
			t.Error("something was stored before the one good request")
		}
		t.Run(test.name, func(t *testing.T) {
			if a := r.exchange(test.raw, "POST"); a.status != test.want {
				t.Errorf("answered %d %s, want %d", a.status, a.body, test.want)
			}
		})
	}
	if got := r.count("wav"); got != 1 {
		t.Errorf("%d messages stored, want 1", got)
	}
}

// TestSlowClientsDisturbNobody keeps many connections busy with requests that
// grow a byte at a time, while good ones come in, 200 a second.
func TestSlowClientsDisturbNobody(t *testing.T) {
	t.Parallel()
	const slow, good = 2000, 400
	needsDescriptors(t, 2*slow)
	r := start(t, natstest.Broker(t))
	conns := make([]net.Conn, slow)
	for i := range conns {
		conns[i] = r.dial()
		raw := "POST /callbacks/wav HTTP/1.1\r\nHost: f\r\n"
		if i%2 == 0 {
			raw += "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"
		}
		if _, err := io.WriteString(conns[i], raw); err != nil {
			t.Fatal(err)
		}
	}
	rate := time.NewTicker(time.Second / 200)
	defer rate.Stop()
	for i := range good {
		<-rate.C
		for _, c := range conns[i%20*slow/20 : (i%20+1)*slow/20] { // each ten times a second
			_, _ = io.WriteString(c, " ") // one that was cut off has had its time
		}
		if a := r.post("/callbacks/wav", []byte(strings.Replace(goodWAV, "t1", fmt.Sprint("t", i), 1))); a.status != http.StatusOK {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	}
}

// needsDescriptors skips a test that would open more files than it may.
func needsDescriptors(tb testing.TB, n uint64) {
	tb.Helper()
	const others = 1000 // of the tests beside it
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur < n+others {
		tb.Skipf("this takes %d open files, and the limit is %d (%v)", n+others, files.Cur, err)
	}
}
