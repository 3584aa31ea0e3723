package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
)

// upgraded is a cluster with a reconciler, of which parts are replaced.
type upgraded struct {
	*cluster
	key        string
	reconciler *process
	consumers  []*process // all that there were
}

// TestUpgradePartByPart replaces, while callbacks flow, each part in the order that the
// README gives: the servers in turn, then the consumer, the reconciler and the gateway.
func TestUpgradePartByPart(t *testing.T) {
	t.Parallel()
	const announced = 10
	u := &upgraded{cluster: startCluster(t), key: filepath.Join(t.TempDir(), "key")}
	if err := os.WriteFile(u.key, []byte("a key of the provider's API\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u.consumers = []*process{u.consumer}
	u.reconcile(t)
	for i := range announced {
		a := ledger.Announcement{TaskID: callback.TaskID(fmt.Sprintf("t%04d", 20*i+1)), SubmittedAt: time.Now()}
		if _, err := u.broker.Announce(t.Context(), "wav", a); err != nil {
			t.Fatal(err)
		}
		u.awaitState(t, a.TaskID, ledger.Expected) // so that it is not its later polls that find the callback
	}
	f := u.flow(t, 20)
	for range rounds(t) {
		u.replaceServers(t, f)
		u.provisionAgain(t)
		u.replaceParts(t, f)
	}
	f.more(5)
	eventually.Await(t, "the announced tasks have called", func() bool { return f.answers(answeredOK) > 20*announced })
	f.stop()
	u.check(t)
	for i := range announced {
		u.awaitState(t, callback.TaskID(fmt.Sprintf("t%04d", 20*i+1)), ledger.Answered)
	}
}

func (u *upgraded) replaceServers(t *testing.T, f *flow) {
	t.Helper()
	for _, n := range u.nodes {
		f.more(5)
		n.lameDuck(t)
		f.more(5)
		n.start(t)
		u.awaitHealthy(t)
	}
}

// provisionAgain has nothing to create and nothing to report.
func (u *upgraded) provisionAgain(t *testing.T) {
	t.Helper()
	if p := fanfare(t, "provision", "--replicas", "3", "--nats-url", u.urls()); p.wait() != 0 || strings.Contains(p.err.String(), "WARN") {
		t.Errorf("provision: %s", p.err.String())
	}
}

func (u *upgraded) replaceParts(t *testing.T, f *flow) {
	t.Helper()
	f.more(5)
	u.host.hold("audio.wav", true) // so that it has its hands full when it is to leave
	eventually.Await(t, "all hands full", func() bool { return u.host.holds() == workers })
	if err := u.consumer.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	u.host.release()
	if status := u.consumer.wait(); status != 0 {
		t.Errorf("the consumer ended with status %d", status)
	}
	u.consumer = fanfare(t, "consumer", "wav", "--nats-url", u.urls(), "--ops-listen", u.consumerOps,
		"--archive-url", "file://"+u.archive, "--egress-allow", u.host.addr)
	u.consumers = append(u.consumers, u.consumer)
	awaitReady(t, u.consumerOps)

	f.more(5)
	if status := u.reconciler.signal(syscall.SIGTERM); status != 0 {
		t.Errorf("the reconciler ended with status %d", status)
	}
	f.more(5)
	u.reconcile(t)

	f.more(5)
	if status := u.gateway.signal(syscall.SIGTERM); status != 0 {
		t.Errorf("the gateway ended with status %d", status)
	}
	u.gateway = fanfare(t, "gateway", "--nats-url", u.urls(), "--listen", u.listen, "--ops-listen", u.ops)
	awaitReady(t, u.ops)
}

// reconcile starts a reconciler whose provider cannot be reached.
func (u *upgraded) reconcile(t *testing.T) {
	t.Helper()
	u.reconciler = fanfare(t, "reconciler", "--nats-url", u.urls(), "--provider-url", "http://127.0.0.1:1", "--provider-key-file", u.key,
		"--egress-allow", "127.0.0.1:1", "--poll-after", "1h")
}

// check wants each callback stored once, handled once and done, whichever consumer had it.
func (u *upgraded) check(t *testing.T) {
	t.Helper()
	u.redeliverAfter(t, time.Second) // what was on its way to a connection that broke
	u.awaitSettled(t)
	for id, times := range u.awaitHandlings(t, u.consumers...) {
		if len(times) != 1 || times[0].Verdict != "ack" || times[0].Error != "" {
			t.Errorf("%s: handled like this: %+v", id, times)
		}
	}
	if n := u.stored(t, "CALLBACKS"); n != len(u.called) {
		t.Errorf("%d callbacks stored, want %d", n, len(u.called))
	}
	if n := u.stored(t, "QUARANTINE"); n != 0 {
		t.Errorf("%d callbacks in quarantine", n)
	}
	u.checkDone(t, "")
}

func (u *upgraded) awaitState(t *testing.T, id callback.TaskID, want ledger.State) {
	t.Helper()
	eventually.Await(t, string(id)+" is "+string(want), func() bool {
		e, found, err := u.broker.Ledger().Get(t.Context(), "wav", id)
		return err == nil && found && e.State == want
	})
}
