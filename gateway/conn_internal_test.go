package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

func TestConnectionsAreAtMostHalfOfTheFiles(t *testing.T) {
	t.Parallel()
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if got, want := connLimit(), int64(min(4096, files.Cur/2)); got != want {
		t.Errorf("%d connections with %d files, want %d", got, files.Cur, want)
	}
}

// TestConnectionsBeyondTheLimitAreToldToComeAgain lowers the limit, since idle
// connections last for five seconds only, which is not enough to open thousands.
func TestConnectionsBeyondTheLimitAreToldToComeAgain(t *testing.T) {
	t.Parallel()
	const limit = 4
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{
		Logger: natstest.Logger(t), Registerer: prometheus.NewRegistry(), Contracts: contracts, Store: natstest.Broker(t), Listen: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	g.maxConns = limit
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()

	// A request that is answered shows that its connection is counted.
	conns := make([]net.Conn, limit)
	for i := range conns {
		conns[i] = dial(t, g)
		if status := ask(t, conns[i]); status != http.StatusOK {
			t.Fatalf("connection %d: answered %d", i, status)
		}
	}
	if status := ask(t, dial(t, g)); status != http.StatusServiceUnavailable {
		t.Errorf("beyond the limit: answered %d", status)
	}
	if refused := testutil.ToFloat64(g.metrics.refused); refused != 1 {
		t.Errorf("%v connections are refused, by the metric", refused)
	}
	_ = conns[0].Close()
	eventually.Await(t, "room for another", func() bool { return ask(t, dial(t, g)) == http.StatusOK })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func dial(tb testing.TB, g *Gateway) net.Conn {
	tb.Helper()
	conn, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// ask sends a callback and returns the status of the answer.
func ask(tb testing.TB, conn net.Conn) int {
	tb.Helper()
	const body = `{"code":500,"msg":"","data":{"task_id":"t"}}`
	if _, err := fmt.Fprintf(conn, "POST /callbacks/wav HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		tb.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
		tb.Error("503 without Retry-After")
	}
	return response.StatusCode
}
