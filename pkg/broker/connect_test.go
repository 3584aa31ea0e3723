package broker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd"
	"fanfare/pkg/natsd/natstest"
)

func TestWaitingConnectsWhenTheServerAppears(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := natstest.Start(t, dir, "127.0.0.1:0")
	addr := server.Addr().String()
	server.Stop()

	log, said := logger()
	b, err := broker.Connect(broker.Options{Logger: log, URL: "nats://" + addr, Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Connected() || b.Version() != "" {
		t.Errorf("connected to %q, which is not there", b.Version())
	}
	if err := b.Check(t.Context()); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
	eventually.Await(t, "the log says so", func() bool { return strings.Contains(said.String(), "broker not reachable yet") })

	server = natstest.Start(t, dir, addr)
	eventually.Await(t, "connected", b.Connected)
	if b.Version() == "" {
		t.Error("the server has no version")
	}
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "CALLBACKS") {
		t.Errorf("check of a server that is not provisioned: %v", err)
	}
	natstest.Provisioned(t, server)
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	eventually.Await(t, "the log says so", func() bool { return strings.Contains(said.String(), "broker connected") })

	server.Stop()
	eventually.Await(t, "disconnected", func() bool { return !b.Connected() })
	eventually.Await(t, "the log says so", func() bool { return strings.Contains(said.String(), "broker disconnected") })
	if err := b.Check(t.Context()); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
}

func TestServerThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	_, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), URL: "nats://127.0.0.1:1,nats://127.0.0.1:2"})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "127.0.0.1:2") {
		t.Errorf("the error is %v", err)
	}
}

func TestAddressesAreShownWithoutTheirSecrets(t *testing.T) {
	t.Parallel()
	const unreadable = "want nats://host:4222"
	for url, want := range map[string]string{
		"nats://user:hunter2@127.0.0.1:1":               "nats://127.0.0.1:1",
		"nats://127.0.0.1:1,nats://hunter2@127.0.0.1:2": "nats://127.0.0.1:1,nats://127.0.0.1:2",
		"user:hunter2@127.0.0.1:1":                      "nats://127.0.0.1:1",
		"nats://user:hunter2@[::1]:1":                   "nats://[::1]:1",
		"nats://user:hunter2%zz@127.0.0.1:1":            unreadable,
		"nats://user:hunter2@127.0.0.1:port":            unreadable,
		"nats://user:hunter2,hunter2@127.0.0.1:1":       unreadable,
		"nats://user:hunter2127.0.0.1:4222":             unreadable,
		"nats://user:hunter2@":                          unreadable,
	} {
		_, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// small starts a server that cannot take every callback.
func small(tb testing.TB) *natsd.Server {
	tb.Helper()
	server, err := natsd.Start(natsd.Options{
		Logger: natstest.Logger(tb), Dir: tb.TempDir(), Listen: "127.0.0.1:0", MaxPayload: 1 << 20, StoreMaxBytes: 1 << 20,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Stop)
	return server
}

func TestServerWithTooSmallAPayloadIsRefusedWithTheNumberToSet(t *testing.T) {
	t.Parallel()
	_, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), InProcess: small(t)})
	if err == nil || !strings.Contains(err.Error(), "1048576 bytes") || !strings.Contains(err.Error(), "max_payload: 1179648") {
		t.Errorf("the error is %v", err)
	}
}

func TestWaitingReportsTooSmallAPayloadToo(t *testing.T) {
	t.Parallel()
	log, said := logger()
	b, err := broker.Connect(broker.Options{Logger: log, URL: "nats://" + small(t).Addr().String(), Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	eventually.Await(t, "connected", b.Connected)
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "max_payload: 1179648") {
		t.Errorf("check: %v", err)
	}
	eventually.Await(t, "the log says so", func() bool { return strings.Contains(said.String(), "max_payload: 1179648") })
}

func TestFilesThatCannotBeUsedAreNamed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "127.0.0.1:0")
	missing := filepath.Join(t.TempDir(), "missing")
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("nothing of use"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(*broker.Options, string){
		"credentials": func(o *broker.Options, path string) { o.CredsFile = path },
		"nkey seed":   func(o *broker.Options, path string) { o.NKeyFile = path },
		"authorities": func(o *broker.Options, path string) { o.CAFile = path },
	} {
		for _, path := range []string{missing, broken} {
			for _, wait := range []bool{false, true} {
				o := broker.Options{URL: "nats://" + server.Addr().String(), Wait: wait}
				set(&o, path)
				said := whyNot(t, o)
				if !strings.Contains(said, path) || strings.Contains(said, "nothing of use") {
					t.Errorf("%s, %s, wait %v: %s", name, filepath.Base(path), wait, said)
				}
			}
		}
	}
}

// whyNot tries to connect and returns why that fails: what the error says, or
// the log of a broker that goes on waiting.
func whyNot(tb testing.TB, o broker.Options) string {
	tb.Helper()
	var said *lines
	o.Logger, said = logger()
	b, err := broker.Connect(o)
	if err != nil {
		return err.Error()
	}
	defer b.Close()
	if !o.Wait || b.Connected() {
		tb.Errorf("connected with %+v", o)
	}
	eventually.Await(tb, "the log says why", func() bool { return strings.Contains(said.String(), `"msg":"broker not reachable"`) })
	return said.String()
}

func TestClosedBrokerIsNotConnected(t *testing.T) {
	t.Parallel()
	log, said := logger()
	b, err := broker.Connect(broker.Options{Logger: log, InProcess: natstest.Start(t, t.TempDir(), "")})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	b.Close()
	if b.Connected() {
		t.Error("connected")
	}
	if _, err := b.Publish(within(t, moment), wav("t")); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
	if strings.Contains(said.String(), "disconnected") {
		t.Errorf("a connection that we closed ourselves is reported: %s", said)
	}
}
