package cli_test

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fanfare/pkg/eventually"
)

// natsServer is a NATS server with the configuration that deploy offers, but on an
// address and in a directory of its own. It can be killed and started again.
type natsServer struct {
	*process
	addr, config, dir string
}

// newNATSServer readies a server, which start then starts. More replaces what
// deploy's configuration says besides its addresses and its directory.
func newNATSServer(tb testing.TB, addr, dir string, more map[string]string) *natsServer {
	tb.Helper()
	raw, err := os.ReadFile("../../deploy/nats/server.conf")
	if err != nil {
		tb.Fatal(err)
	}
	replace := map[string]string{
		"listen: 127.0.0.1:4222": "listen: " + addr,
		"http: 127.0.0.1:8222":   "http: 127.0.0.1:-1",
		"$NATS_STORE_DIR":        dir,
	}
	maps.Copy(replace, more)
	config := string(raw)
	for from, to := range replace {
		if !strings.Contains(config, from) {
			tb.Fatalf("server.conf does not say %q", from)
		}
		config = strings.Replace(config, from, to, 1)
	}
	s := &natsServer{addr: addr, dir: dir, config: filepath.Join(tb.TempDir(), "server.conf")}
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *natsServer) url() string { return "nats://" + s.addr }

// start starts it and waits until it can be reached.
func (s *natsServer) start(tb testing.TB) {
	tb.Helper()
	s.process = launch(tb, built.natsServer(), "-c", s.config)
	eventually.Await(tb, "NATS server up", func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}
