package cli_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/eventually"
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

func (s *separate) startNATS(tb testing.TB) {
	tb.Helper()
	newNATSServer(tb, s.nats, s.dir, nil).start(tb)
}

func TestSeparateProcessesDoTheSame(t *testing.T) {
	t.Parallel()
	s := startSeparate(t)
	checkReport(t, s.simulate(t, 150))
	s.checkArchive(t, s.archive)
	var logs strings.Builder
	for ops, consumer := range s.consumers {
		logs.WriteString(consumer.err.String())
		if deliveries := strings.Count(consumer.err.String(), `"msg":"delivery"`); deliveries == 0 {
			t.Errorf("%s at %s handled nothing", consumer.name, ops)
		}
		if status := consumer.signal(syscall.SIGTERM); status != 0 {
			t.Errorf("%s ended with status %d", consumer.name, status)
		}
	}
	if twice := handledTwice(t, logs.String()); twice != "" {
		t.Errorf("handled twice: %s", twice)
	}
}

// handledTwice returns a log line of a delivery that was settled for good and had
// been delivered before without as many retries, or "". A retry may go to another
// process, so the log is that of all.
func handledTwice(tb testing.TB, log string) string {
	tb.Helper()
	type callback struct {
		Type   string `json:"type"`
		TaskID string `json:"task_id"`
		Stage  string `json:"stage"`
		Code   int    `json:"code"`
	}
	type delivery struct {
		callback
		Msg      string `json:"msg"`
		Delivery int    `json:"delivery"`
		Verdict  string `json:"verdict"`
	}
	retries, settled := make(map[callback]int), make(map[string]delivery)
	for line := range strings.Lines(log) {
		var d delivery
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			tb.Fatalf("log line %q: %v", line, err)
		}
		switch {
		case d.Msg != "delivery":
		case d.Verdict == "retry":
			retries[d.callback]++
		default:
			settled[line] = d
		}
	}
	for line, d := range settled {
		if d.Delivery != retries[d.callback]+1 {
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
	eventually.Await(t, "refused for its max_payload", func() bool {
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
			eventually.Await(t, "the line", func() bool { return strings.Contains(p.out.String(), test.want) })
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
		"tasks.wav":       "tasks list",
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
