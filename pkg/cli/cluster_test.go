package cli_test

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/eventually"
)

// TestClusterChangesItsLeaders makes the stream and the durable change their leader,
// by turns in full swing and when the consumer has its hands full.
func TestClusterChangesItsLeaders(t *testing.T) {
	t.Parallel()
	const each = 4
	c := startCluster(t)
	f := c.flow(t, 50)
	for turn := range 2 * each * rounds(t) {
		f.more(5)
		if turn/2%2 == 0 {
			c.host.hold("audio.wav", turn%4 == 0)
			eventually.Await(t, "all hands full", func() bool { return c.host.holds() == workers })
		}
		if turn%2 == 0 {
			c.stepDown(t, "CALLBACKS", "", "")
		} else {
			c.stepDown(t, "CALLBACKS", "wav", "")
		}
		c.host.release()
	}
	f.more(5)
	f.stop()
	c.checkCluster(t)
}

// TestClusterIsRestartedNodeByNode restarts the servers in turn, as an operator does
// for a new version: one leaves, comes back and has caught up before the next.
func TestClusterIsRestartedNodeByNode(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	f := c.flow(t, 20)
	for range rounds(t) {
		for i, n := range c.nodes {
			f.more(5)
			if i%2 == 0 {
				n.lameDuck(t)
			} else {
				n.signal(syscall.SIGTERM)
			}
			f.more(5)
			c.awaitCopies(t, 2)
			n.start(t)
			c.awaitHealthy(t)
			c.awaitCopies(t, 3)
		}
	}
	f.more(5)
	f.stop()
	c.checkCluster(t)
}

// TestClusterLosesItsLeader kills the server that leads everything that a callback
// passes through, when the consumer has its hands full.
func TestClusterLosesItsLeader(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	f := c.flow(t, 20)
	for range rounds(t) {
		n := c.gather(t)
		f.more(5)
		c.host.hold("audio.wav", true)
		eventually.Await(t, "all hands full", func() bool { return c.host.holds() == workers })
		n.signal(syscall.SIGKILL)
		c.host.release()
		f.more(5)
		n.start(t)
		c.awaitHealthy(t)
	}
	f.more(5)
	f.stop()
	c.checkCluster(t)
}

// TestClusterLosesItsMajority kills two of the three servers, when the consumer has its
// hands full: nothing can be stored, and the provider is not told that it was.
func TestClusterLosesItsMajority(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	f := c.flow(t, 10)
	for range rounds(t) {
		f.more(5)
		c.host.hold("audio.wav", true)
		eventually.Await(t, "all hands full", func() bool { return c.host.holds() == workers })
		refused := f.answers("503")
		for _, n := range c.nodes[1:] {
			n.signal(syscall.SIGKILL)
		}
		c.host.release()
		eventually.Await(t, "a callback refused", func() bool { return f.answers("503") > refused })
		for process, ops := range map[string]string{"gateway": c.ops, "consumer": c.consumerOps} {
			eventually.Await(t, "the "+process+" not ready", func() bool {
				status, _ := get("http://" + ops + "/readyz")
				return status == http.StatusServiceUnavailable
			})
		}
		for _, n := range c.nodes[1:] {
			n.start(t)
		}
		c.awaitHealthy(t)
	}
	f.more(5)
	f.stop()
	c.checkCluster(t)
}

// checkCluster holds everything against what must be after a flow of callbacks: each
// stored once, handled once, and nothing left to do.
func (c *cluster) checkCluster(tb testing.TB) {
	tb.Helper()
	c.awaitHealthy(tb)
	c.redeliverAfter(tb, time.Second) // what was on its way to a connection that broke
	c.awaitSettled(tb)
	awaitReady(tb, c.ops)
	awaitReady(tb, c.consumerOps)

	redelivered, unconfirmed := 0, 0
	for id, times := range c.awaitHandlings(tb, c.consumer) {
		if len(times) != 1 || times[0].Verdict != "ack" || times[0].Error != "" {
			tb.Errorf("%s: handled like this: %+v", id, times)
		}
		if times[0].Delivery > 1 {
			redelivered++
		}
		if times[0].SettleError != "" {
			unconfirmed++
			tb.Logf("%s: not confirmed: %s", id, times[0].SettleError)
		}
	}
	if acks := c.acks(tb); acks != len(c.called) {
		tb.Errorf("%d deliveries acked, want %d", acks, len(c.called))
	}
	if n := c.stored(tb, "CALLBACKS"); n != len(c.called) {
		tb.Errorf("%d callbacks stored, want %d", n, len(c.called))
	}
	if n := c.stored(tb, "QUARANTINE"); n != 0 {
		tb.Errorf("%d callbacks in quarantine", n)
	}
	c.checkDone(tb, "")
	tb.Logf("%d redeliveries; of %d callbacks %d were not handled when first delivered, and %d not confirmed",
		c.redeliveries(tb), len(c.called), redelivered, unconfirmed)
	tb.Logf("the gateway complains of %v, the consumer of %v", complaints(tb, c.gateway), complaints(tb, c.consumer))
}

// awaitCopies waits until the gateway's metrics say that so many of the three copies are
// up to date.
func (c *cluster) awaitCopies(tb testing.TB, current int) {
	tb.Helper()
	eventually.Await(tb, fmt.Sprintf("%d copies", current), func() bool {
		_, metrics := get("http://" + c.ops + "/metrics")
		return strings.Contains(metrics, `fanfare_stream_replicas{stream="CALLBACKS"} 3`+"\n") &&
			strings.Contains(metrics, fmt.Sprintf("fanfare_stream_replicas_current{stream=\"CALLBACKS\"} %d\n", current))
	})
}

// redeliveries is how many deliveries the durable has made besides one of each
// message.
func (c *cluster) redeliveries(tb testing.TB) int {
	tb.Helper()
	durable, err := c.js.Consumer(tb.Context(), "CALLBACKS", string(c.typ))
	if err != nil {
		tb.Fatal(err)
	}
	return int(durable.CachedInfo().Delivered.Consumer) - len(c.called)
}

// acks is how many deliveries the consumer's metrics count as acked.
func (c *cluster) acks(tb testing.TB) (n int) {
	tb.Helper()
	_, metrics := get("http://" + c.consumerOps + "/metrics")
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, `fanfare_deliveries_total{type="wav",verdict="ack"} `); ok {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	tb.Fatal("no metric of acked deliveries")
	return 0
}

// complaints counts what a process has logged above the level of information.
func complaints(tb testing.TB, p *process) map[string]int {
	tb.Helper()
	count := make(map[string]int)
	for line := range strings.Lines(p.err.String()) {
		var entry struct {
			Level string `json:"level"`
			Msg   string `json:"msg"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			tb.Errorf("log line %q: %v", line, err)
		}
		if entry.Level != "INFO" {
			count[entry.Level+" "+entry.Msg]++
		}
	}
	return count
}
