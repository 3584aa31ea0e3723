package cli_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"
)

// separate is the same as standalone in separate processes, against a separate
// NATS server with the configuration that deploy offers.
type separate struct {
	*standalone
	archive   string
	consumers map[string]*process // by operations address
}

func startSeparate(tb testing.TB) *separate {
	tb.Helper()
	s := &separate{standalone: newStandalone(tb), archive: tb.TempDir(), consumers: make(map[string]*process)}
	s.startNATS(tb)
	url := "nats://" + s.nats
	if status := fanfare(tb, "provision", "--nats-url", url).wait(); status != 0 {
		tb.Fatalf("provision ended with status %d", status)
	}
	s.process = fanfare(tb, "gateway", "--nats-url", url, "--listen", s.listen, "--ops-listen", s.ops)
	awaitReady(tb, s.ops)
	for _, typ := range []string{"music", "video", "wav", "wav", "cover"} {
		ops := freeAddr(tb)
		s.consumers[ops] = fanfare(tb, "consumer", typ, "--nats-url", url, "--ops-listen", ops,
			"--archive-url", "file://"+s.archive, "--egress-allow", s.media)
		awaitReady(tb, ops)
	}
	return s
}

// startNATS starts the server with deploy's configuration, but on an address and
// in a directory of its own.
func (s *separate) startNATS(tb testing.TB) {
	tb.Helper()
	raw, err := os.ReadFile("../../deploy/nats/server.conf")
	if err != nil {
		tb.Fatal(err)
	}
	config := string(raw)
	for from, to := range map[string]string{
		"listen: 0.0.0.0:4222": "listen: " + s.nats,
		"http: 127.0.0.1:8222": "http: 127.0.0.1:-1",
		"store_dir: /data":     "store_dir: " + s.dir,
	} {
		if !strings.Contains(config, from) {
			tb.Fatalf("server.conf does not say %q", from)
		}
		config = strings.Replace(config, from, to, 1)
	}
	path := filepath.Join(tb.TempDir(), "server.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	launch(tb, built.natsServer(), "-c", path)
	eventually(tb, "NATS server up", func() bool {
		conn, err := net.Dial("tcp", s.nats)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func TestSeparateProcessesDoTheSame(t *testing.T) {
	t.Parallel()
	s := startSeparate(t)
	checkReport(t, s.simulate(t, 150))
	s.checkArchive(t, s.archive)
	for ops, consumer := range s.consumers {
		if deliveries := strings.Count(consumer.err.String(), `"msg":"delivery"`); deliveries == 0 {
			t.Errorf("%s at %s handled nothing", consumer.name, ops)
		}
		if twice := handledTwice(t, consumer.err.String()); twice != "" {
			t.Errorf("%s: handled twice: %s", consumer.name, twice)
		}
		if status := consumer.signal(syscall.SIGTERM); status != 0 {
			t.Errorf("%s ended with status %d", consumer.name, status)
		}
	}
}

// handledTwice returns a log line of a delivery that was acked and had been
// delivered before without a retry in between, or "".
func handledTwice(tb testing.TB, log string) string {
	tb.Helper()
	type delivery struct {
		Msg      string `json:"msg"`
		Delivery int    `json:"delivery"`
		Verdict  string `json:"verdict"`
	}
	for line := range strings.Lines(log) {
		var d delivery
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			tb.Fatalf("log line %q: %v", line, err)
		}
		if d.Msg == "delivery" && d.Verdict == "ack" && d.Delivery > 1 {
			return line
		}
	}
	return ""
}

func TestProvisionTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	s := &separate{standalone: newStandalone(t)}
	s.startNATS(t)
	for range 2 {
		p := fanfare(t, "provision", "--nats-url", "nats://"+s.nats)
		if status := p.wait(); status != 0 || strings.Contains(p.err.String(), "WARN") {
			t.Errorf("status %d: %s%s", status, p.out.String(), p.err.String())
		}
	}
}

func TestPasswordsAreNotTold(t *testing.T) {
	t.Parallel()
	p := fanfare(t, "provision", "--nats-url", "nats://svc:hunter2@"+freeAddr(t))
	if status := p.wait(); status != 1 || strings.Contains(p.out.String()+p.err.String(), "hunter2") {
		t.Errorf("status %d: %s", status, p.err.String())
	}
}

func TestServerWithTooSmallAPayloadIsRefused(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	launch(t, built.natsServer(), "-a", "127.0.0.1", "-p", port, "-js", "-sd", t.TempDir())
	eventually(t, "refused for its max_payload", func() bool {
		p := fanfare(t, "provision", "--nats-url", "nats://"+addr)
		return p.wait() == 1 && strings.Contains(p.err.String(), "max_payload: 1179648")
	})
}

func TestTailShowsCallbacksAndResults(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	s.post(t, "music", "replace-section-error")
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "callbacks.music.error"},
		{[]string{"callbacks.*.error"}, "Audio generation failed."},
		{[]string{"results"}, "failed (generation_failed)"},
		{[]string{"results.music.>", "--json"}, `"outcome":"failed"`},
		{[]string{"callbacks.>", "--json"}, `"ce-type":"fanfare.callback.music.error"`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			p := fanfare(t, append([]string{"tail", "--since", "all", "--nats-url", "nats://" + s.nats}, test.args...)...)
			eventually(t, "the line", func() bool { return strings.Contains(p.out.String(), test.want) })
			if status := p.signal(os.Interrupt.(syscall.Signal)); status != 0 { //nolint:forcetypeassert // it is one on every system
				t.Errorf("ended with status %d", status)
			}
		})
	}
}

func TestTailRefusesWhatItCannotFollow(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	for arg, want := range map[string]string{
		"nonsense.>":      "a subject begins with",
		"--since=-1h":     "want an age",
		"--since=someday": "want an age",
	} {
		p := fanfare(t, "tail", arg, "--nats-url", "nats://"+s.nats)
		if status := p.wait(); status != 1 || !strings.Contains(p.err.String(), want) {
			t.Errorf("%s: status %d: %s", arg, status, p.err.String())
		}
	}
}

func TestHealthTellsReadiness(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	if status := fanfare(t, "health", "--ops-listen", s.ops).wait(); status != 1 {
		t.Errorf("nobody there: status %d", status)
	}
	s.start(t)
	p := fanfare(t, "health", "--ops-listen", s.ops)
	if status := p.wait(); status != 0 || !strings.Contains(p.out.String(), `"ready":true`) {
		t.Errorf("status %d: %s", status, p.out.String())
	}
}
