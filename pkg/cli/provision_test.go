package cli_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"fanfare/pkg/eventually"
)

// TestProvisionWaitsForTheCluster provisions while three servers that have just started find each other, and the last
// of them has no room: there is no place for a third copy until it is back with more.
func TestProvisionWaitsForTheCluster(t *testing.T) {
	t.Parallel()
	var c cluster
	c.readyNodes(t)
	last := c.nodes[2]
	large, err := os.ReadFile(last.config)
	if err != nil {
		t.Fatal(err)
	}
	configure(t, last, strings.Replace(string(large), "max_file_store: 10GiB", "max_file_store: 1MiB", 1))
	for _, n := range c.nodes {
		n.start(t)
	}
	p := fanfare(t, "provision", "--replicas", "3", "--nats-url", c.urls())
	eventually.Await(t, "provision to say why it waits", func() bool { return strings.Contains(p.err.String(), "no suitable peers") })
	last.signal(syscall.SIGTERM)
	configure(t, last, string(large))
	last.start(t)
	if status := p.wait(); status != 0 || !strings.Contains(p.out.String(), "provisioned") {
		t.Errorf("status %d: %s", status, p.err.String())
	}
}

func configure(tb testing.TB, n *node, config string) {
	tb.Helper()
	if err := os.WriteFile(n.config, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
}
