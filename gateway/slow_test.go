package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

func (r *rig) dial() net.Conn {
	r.tb.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		r.tb.Fatal(err)
	}
	return conn
}

// TestRefusalsDoNotWaitForTheBody sends heads whose bodies never come. An answer
// that waited for them would come after bodyWait at the earliest, if ever.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	const json = "Content-Type: application/json\r\n"
	for name, head := range map[string]struct {
		line, header string
		want         int
	}{
		"unknown path":   {"POST /nope", json + "Content-Length: 100\r\n", 404},
		"wrong method":   {"PUT /callbacks/wav", json + "Content-Length: 100\r\n", 405},
		"media type":     {"POST /callbacks/wav", "Content-Type: text/plain\r\nContent-Length: 100\r\n", 415},
		"declared size":  {"POST /callbacks/wav", json + "Content-Length: 104857600\r\n", 413},
		"chunks unknown": {"POST /nope", json + "Transfer-Encoding: chunked\r\n", 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := r.dial()
			if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: f\r\n%s\r\n", head.line, head.header); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != head.want || !response.Close {
				t.Errorf("answered %d, close %v: want %d and the end of the connection", response.StatusCode, response.Close, head.want)
			}
		})
	}
}

func TestAnotherRequestOnTheSameConnection(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	conn := r.dial()
	reader := bufio.NewReader(conn)
	for i := range 3 {
		body := strings.Replace(goodWAV, "t1", fmt.Sprintf("t%d", i), 1)
		if _, err := fmt.Fprintf(conn, "POST /callbacks/wav HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("request %d: answered %d", i, response.StatusCode)
		}
	}
}

// TestAHeadHasItsOwnDeadlineAfterAnIdleTime begins a second request on a
// connection that may be idle for a minute, and does not go on.
func TestAHeadHasItsOwnDeadlineAfterAnIdleTime(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	conn := r.dial() // for 30 s
	reader := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, strings.Replace(sent{body: goodWAV}.raw(), "Connection: close\r\n", "", 1)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if _, err := io.WriteString(conn, "P"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(reader); err != nil {
		t.Errorf("the connection did not end: %v", err)
	}
}

func TestStalledClientDoesNotDelayShutdownForLong(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	conn := r.dial()
	if _, err := io.WriteString(conn, "POST /callbacks/wav HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	r.waitInFlight(1)
	r.stop() // fails the test if it reports an error
}

// panicking is a store that breaks its promise.
type panicking struct{ *broker.Broker }

func (panicking) Publish(context.Context, callback.Callback) (broker.Published, error) {
	panic("lost my mind")
}

func TestPanicCostsItsOwnRequestOnly(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{
		Logger: natstest.Logger(t), Registerer: prometheus.NewRegistry(), Contracts: contracts, Store: panicking{}, Listen: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	r := &rig{tb: t, url: "http://" + g.Addr().String(), client: &http.Client{Transport: new(http.Transport)}}
	for range 2 {
		a := r.post("/callbacks/wav", []byte(goodWAV))
		a.wellFormed(t)
		if a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "mind") {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	}
	r.client.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
