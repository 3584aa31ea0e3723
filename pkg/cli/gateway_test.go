package cli_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"fanfare/pkg/eventually"
)

// TestGatewayStopsLaterThanItSays tells a gateway to stop, and calls it when it is known that it will.
func TestGatewayStopsLaterThanItSays(t *testing.T) {
	t.Parallel()
	listen, ops := freeAddr(t), freeAddr(t)
	p := fanfare(t, "gateway", "--nats-url", "nats://127.0.0.1:1", "--listen", listen, "--ops-listen", ops, "--stop-delay", "5s")
	eventually.Await(t, "the gateway to listen", func() bool {
		status, _ := get("http://" + listen + "/elsewhere")
		return status == http.StatusNotFound
	})
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually.Await(t, "the gateway to say that it stops", func() bool {
		_, checks := get("http://" + ops + "/readyz")
		return strings.Contains(checks, "stopping")
	})
	if status, body := get("http://" + listen + "/elsewhere"); status != http.StatusNotFound {
		t.Errorf("it answers %d: %s", status, body)
	}
	if status := p.wait(); status != 0 {
		t.Errorf("it ends with status %d", status)
	}
}
