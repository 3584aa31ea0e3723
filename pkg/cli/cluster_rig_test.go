package cli_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
)

// roundsVariable is the environment variable that says how often each test of a
// cluster does what it is about, once by default.
const roundsVariable = "FANFARE_TEST_ROUNDS"

func rounds(tb testing.TB) int {
	tb.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(roundsVariable), "1"))
	if err != nil {
		tb.Fatalf("%s: %v", roundsVariable, err)
	}
	return n
}

// node is one server of a cluster.
type node struct {
	*natsServer
	name, monitor string
}

// cluster is a gateway and a consumer of wav callbacks, each a process, with three
// NATS servers between them that hold everything three times.
type cluster struct {
	*rig
	nodes       []*node
	gateway     *process
	listen, ops string // of the gateway
	consumerOps string
}

func startCluster(tb testing.TB) *cluster {
	tb.Helper()
	contracts, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	c := &cluster{
		rig:    &rig{typ: "wav", host: startMediaHost(tb), archive: tb.TempDir(), contract: contracts["wav"]},
		listen: freeAddr(tb), ops: freeAddr(tb), consumerOps: freeAddr(tb),
	}
	c.readyNodes(tb)
	for _, n := range c.nodes {
		n.start(tb)
	}
	// The servers find each other and elect a leader before they create anything.
	eventually.Await(tb, "the cluster provisioned", func() bool {
		return fanfare(tb, "provision", "--replicas", "3", "--nats-url", c.urls()).wait() == 0
	})
	c.connect(tb, c.urls())
	c.awaitHealthy(tb)
	c.gateway = fanfare(tb, "gateway", "--nats-url", c.urls(), "--listen", c.listen, "--ops-listen", c.ops)
	c.consumer = fanfare(tb, "consumer", "wav", "--nats-url", c.urls(), "--ops-listen", c.consumerOps,
		"--archive-url", "file://"+c.archive, "--egress-allow", c.host.addr)
	awaitReady(tb, c.ops)
	awaitReady(tb, c.consumerOps)
	return c
}

// readyNodes readies three servers that look for each other.
func (c *cluster) readyNodes(tb testing.TB) {
	tb.Helper()
	names, routes := []string{"one", "two", "three"}, make([]string, 3)
	for i := range routes {
		routes[i] = freeAddr(tb)
	}
	for i, name := range names {
		n := &node{name: name, monitor: freeAddr(tb)}
		n.natsServer = newNATSServer(tb, freeAddr(tb), tb.TempDir(), map[string]string{
			"http: 127.0.0.1:8222": "http: " + n.monitor,
			"server_name: fanfare": fmt.Sprintf("server_name: %s\n"+
				"cluster { name: fanfare, listen: %q, routes: [\"nats://%s\"] }\n"+
				"lame_duck_grace_period: 1s\nlame_duck_duration: 30s", // the least that a server takes
				name, routes[i], strings.Join(routes, `", "nats://`)),
		})
		c.nodes = append(c.nodes, n)
	}
}

// urls are the addresses of all servers.
func (c *cluster) urls() string {
	urls := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		urls[i] = n.url()
	}
	return strings.Join(urls, ",")
}

// node returns the server of that name.
func (c *cluster) node(tb testing.TB, name string) *node {
	tb.Helper()
	for _, n := range c.nodes {
		if n.name == name {
			return n
		}
	}
	tb.Fatalf("no server is called %q", name)
	return nil
}

// lameDuck tells a server to leave as an operator does: it hands its leaderships
// over, then sends its clients away.
func (n *node) lameDuck(tb testing.TB) {
	tb.Helper()
	if p := launch(tb, built.natsServer(), "--signal", fmt.Sprintf("ldm=%d", n.cmd.Process.Pid)); p.wait() != 0 {
		tb.Fatalf("signal: %s", p.err.String())
	}
	n.wait()
}

// awaitHealthy waits until every server says that it has all that it should have,
// and every stream that its copies are current.
func (c *cluster) awaitHealthy(tb testing.TB) {
	tb.Helper()
	for _, n := range c.nodes {
		eventually.Await(tb, n.name+" healthy", func() bool {
			status, _ := get("http://" + n.monitor + "/healthz")
			return status == http.StatusOK
		})
	}
	eventually.Await(tb, "all copies current", func() bool {
		for _, name := range c.streams(tb) {
			if !whole(c.raft(tb, name, "")) {
				return false
			}
		}
		return whole(c.raft(tb, "CALLBACKS", "wav"))
	})
}

// streams are the names of all streams.
func (c *cluster) streams(tb testing.TB) (names []string) {
	tb.Helper()
	eventually.Await(tb, "the streams' names", func() bool {
		lister := c.js.StreamNames(tb.Context())
		names = nil
		for name := range lister.Name() {
			names = append(names, name)
		}
		return lister.Err() == nil && len(names) > 0
	})
	return names
}

// raft tells of the copies of a stream, or of a durable on it; nil when nobody does.
func (c *cluster) raft(tb testing.TB, stream, durable string) *jetstream.ClusterInfo {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Second)
	defer cancel()
	if durable == "" {
		s, err := c.js.Stream(ctx, stream)
		if err != nil {
			return nil
		}
		return s.CachedInfo().Cluster
	}
	consumer, err := c.js.Consumer(ctx, stream, durable)
	if err != nil {
		return nil
	}
	return consumer.CachedInfo().Cluster
}

// whole reports whether there is a leader, and two current copies besides its own.
func whole(info *jetstream.ClusterInfo) bool {
	if info == nil || info.Leader == "" || len(info.Replicas) != 2 {
		return false
	}
	for _, replica := range info.Replicas {
		if !replica.Current || replica.Offline {
			return false
		}
	}
	return true
}

// leader is the server that leads a stream, or a durable on it, once there is one.
func (c *cluster) leader(tb testing.TB, stream, durable string) (name string) {
	tb.Helper()
	eventually.Await(tb, "a leader of "+stream+" "+durable, func() bool {
		info := c.raft(tb, stream, durable)
		if info != nil {
			name = info.Leader
		}
		return name != ""
	})
	return name
}

// stepDown makes the leader of a stream, or of a durable on it, give way to another
// server, or to the one of that name, and waits for that.
func (c *cluster) stepDown(tb testing.TB, stream, durable, to string) {
	tb.Helper()
	subject := "$JS.API.STREAM.LEADER.STEPDOWN." + stream
	if durable != "" {
		subject = "$JS.API.CONSUMER.LEADER.STEPDOWN." + stream + "." + durable
	}
	request := ""
	if to != "" {
		request = fmt.Sprintf(`{"placement":{"preferred":%q}}`, to)
	}
	before := c.leader(tb, stream, durable)
	eventually.Await(tb, "another leader of "+stream+" "+durable, func() bool {
		if now := c.leader(tb, stream, durable); now == to || to == "" && now != before {
			return true
		}
		_, _ = c.js.Conn().Request(subject, []byte(request), time.Second) // who leads then says what it has done
		return false
	})
}

// gather makes one server, the one that leads CALLBACKS, the leader of everything that
// a callback passes through.
func (c *cluster) gather(tb testing.TB) *node {
	tb.Helper()
	n := c.node(tb, c.leader(tb, "CALLBACKS", ""))
	for _, stream := range c.streams(tb) {
		c.stepDown(tb, stream, "", n.name)
	}
	c.stepDown(tb, "CALLBACKS", "wav", n.name)
	return n
}
