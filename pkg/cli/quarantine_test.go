package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

func TestQuarantineCommands(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), Name: t.Name(), URL: "nats://" + s.nats})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	invalid, valid := []byte("\x00 no callback\n"), []byte(`{"code":500,"msg":"","data":{"task_id":"t1"}}`)
	for _, q := range []broker.Quarantined{
		{Type: "wav", Reason: "malformed", Received: time.Now(), Body: invalid},
		{Type: "wav", Reason: "schema", Received: time.Now(), Body: valid},
		{Type: "music", Reason: "task_id", Received: time.Now(), Body: []byte(`{"data":{}}`)},
	} {
		if err := b.Quarantine(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	command := func(want int, args ...string) string {
		t.Helper()
		p := fanfare(t, append(append([]string{"quarantine"}, args...), "--nats-url", "nats://"+s.nats)...)
		if status := p.wait(); status != want {
			t.Errorf("%v: status %d, want %d: %s", args, status, want, p.err.String())
		}
		return p.out.String()
	}

	if table := command(0, "list"); strings.Count(table, "\n") != 4 || !strings.Contains(table, "malformed") {
		t.Errorf("list:\n%s", table)
	}
	if lines := command(0, "list", "--json", "--type", "wav", "--reason", "schema"); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, `"number":2`) {
		t.Errorf("list --json:\n%s", lines)
	}
	if body := command(0, "show", "1"); !bytes.Equal([]byte(body), invalid) {
		t.Errorf("show: %q", body)
	}
	command(1, "show", "9")
	if said := command(1, "replay", "--type", "wav"); !strings.Contains(said, "1  wav  stays: ") || !strings.Contains(said, "2  wav  published") {
		t.Errorf("replay:\n%s", said)
	}
	if table := command(0, "list", "--type", "wav"); strings.Count(table, "\n") != 2 {
		t.Errorf("after replay:\n%s", table)
	}
	eventually.Await(t, "the replayed callback's result", func() bool {
		_, found, err := b.Results().Get(t.Context(), "wav", "t1")
		return err == nil && found
	})
	command(0, "delete", "1", "3")
	command(1, "delete", "1")
	if table := command(0, "list"); strings.Count(table, "\n") != 1 {
		t.Errorf("after delete:\n%s", table)
	}
}

func TestURLMakesATokenOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	said := func(args ...string) string {
		t.Helper()
		p := fanfare(t, append([]string{"url"}, args...)...)
		if status := p.wait(); status != 0 {
			t.Fatalf("%v: status %d: %s", args, status, p.err.String())
		}
		return strings.TrimSpace(p.out.String())
	}
	if got := said("cover", "--public-url", "https://a.example/x/"); got != "https://a.example/x/callbacks/cover" {
		t.Errorf("without a token: %s", got)
	}
	first, second := said("wav", "--url-token-file", file), said("music", "--url-token-file", file)
	token := strings.TrimPrefix(first, "https://your.host/callbacks/wav/")
	if len(token) < 24 || second != "https://your.host/callbacks/music/"+token {
		t.Errorf("%s, then %s", first, second)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
	if status := fanfare(t, "url", "lyrics").wait(); status != 1 {
		t.Errorf("an unknown type: status %d", status)
	}
}

// TestHangUpReadsSecretsAgain sends the signal that operators know for it.
func TestHangUpReadsSecretsAgain(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("a key of twenty-four bytes or more"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, "--hmac-key-file", file)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually.Await(t, "the bad file is reported", func() bool { return strings.Contains(s.err.String(), "files changed and cannot be used") })
	awaitReady(t, s.ops)
}

// TestSimulationOfAProviderThatSigns takes one through every mechanism at once.
func TestSimulationOfAProviderThatSigns(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	dir := t.TempDir()
	key, token := filepath.Join(dir, "key"), filepath.Join(dir, "token")
	for _, file := range []string{key, token} {
		if err := os.WriteFile(file, []byte("twenty-four_bytes_or_more_"+filepath.Base(file)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.start(t, "--hmac-key-file", key, "--url-token-file", token, "--allow-from", "127.0.0.0/8")
	checkReport(t, s.simulate(t, 30, "--hmac-key-file", key, "--url-token-file", token))
	_, metrics := get("http://" + s.ops + "/metrics")
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, `fanfare_callbacks_total{result="unauthenticated"`) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			t.Errorf("%s", line)
		}
	}
}
