package deploy_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fanfare/deploy/test/eventually"
)

// runbookLines are what the runbook tells to type that begins like this, in blocks and
// in sentences, each once.
func runbookLines(t *testing.T, prefix string, least int) (lines []string) {
	t.Helper()
	seen := make(map[string]bool)
	for _, match := range regexp.MustCompile("(?m)(?:^|`)("+prefix+"[^`#\n]*)").FindAllStringSubmatch(string(read(t, "../runbook.md")), -1) {
		if line := strings.TrimSpace(match[1]); !seen[line] {
			seen[line] = true
			lines = append(lines, line)
		}
	}
	if len(lines) < least {
		t.Fatalf("%s: only the commands %q", prefix, lines)
	}
	return lines
}

// edit is a command that changes a limit, for somebody who is not asked whether to.
func edit(line string) string { return line + " --force" }

// TestNATSCommandsOfTheRunbook runs them on a secured server that is provisioned as by
// default, each with the role that it names.
func TestNATSCommandsOfTheRunbook(t *testing.T) {
	t.Parallel()
	r := newNATSRig(t)
	server := r.start(t, t.TempDir())
	once(t, built.fanfare(t), r.as("provisioner", "provision")...)
	sh := newShell(t)
	for _, name := range []string{"ca.pem", "operator.nk", "provisioner.nk"} {
		write(t, sh.dir, name, read(t, r.secret(name)))
	}
	lines := runbookLines(t, "nats ", 8)
	for _, line := range lines {
		if role, saves := strings.CutPrefix(line, "nats context save "); saves {
			role, _, _ = strings.Cut(role, " ")
			r.save(t, sh, role, line)
		}
	}
	edits := 0
	for _, line := range lines {
		command := strings.NewReplacer("STREAM", "QUARANTINE", "TYPE", "wav").Replace(line)
		switch {
		case strings.HasPrefix(line, "nats context save "):
		case !strings.HasPrefix(line, "nats --context "):
			t.Errorf("%s: with which role?", line)
		case strings.Contains(line, " stream edit "):
			edits++
			sh.run(t, edit(command))
		default:
			sh.run(t, command)
		}
	}
	if edits < 2 {
		t.Errorf("%d edits of limits", edits)
	}
	for _, line := range runbookLines(t, "curl -s http://127.0.0.1:8222/[a-z]", 2) {
		if get(t, strings.Replace(strings.TrimPrefix(line, "curl -s "), "127.0.0.1:8222", r.monitor, 1)) == "" {
			t.Errorf("%s: no answer", line)
		}
	}
	r.growsWithItsServer(t, sh, server)
	if strings.Contains(server.String(), "Violation") {
		t.Error("somebody tried what is forbidden")
	}
}

// growsWithItsServer raises a limit beyond what the server has, which is refused until it
// has more.
func (r *natsRig) growsWithItsServer(t *testing.T, sh *shell, server *process) {
	t.Helper()
	more := edit("nats --context provisioner stream edit CALLBACKS --max-bytes 16GiB")
	if out, err := sh.try(t, more); err == nil || !strings.Contains(out, "insufficient storage resources available") {
		t.Errorf("more than the server has: %v", err)
	}
	file := filepath.Join(r.dir, "base.conf")
	write(t, r.dir, "base.conf", []byte(strings.Replace(string(read(t, file)), "max_file_store: 10GiB", "max_file_store: 24GiB", 1)))
	reload := runbookLines(t, "nats-server --signal reload=PID", 1)[0]
	sh.run(t, strings.Replace(reload, "PID", fmt.Sprint(server.pid), 1))
	eventually.Await(t, "the server to have more", func() bool {
		_, err := sh.try(t, more)
		return err == nil
	})
}

// TestStandaloneGrows gives a standalone a larger store, of which its streams take
// nothing by themselves.
func TestStandaloneGrows(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	s := startStandalone(t, sh.dir)
	line := func(server string) string {
		return edit("nats --server " + server + " stream edit CALLBACKS --max-bytes 256MiB")
	}
	if out, err := sh.try(t, line(s.nats)); err == nil || !strings.Contains(out, "insufficient storage resources available") {
		t.Errorf("more than its store: %v", err)
	}
	s.stop()
	s = startStandalone(t, sh.dir, "--store-max-bytes", "402653184")
	s.says(t, `(left as it is)`)
	sh.run(t, line(s.nats))
	s.stop()
	s = startStandalone(t, sh.dir, "--store-max-bytes", "0") // that is, as at the last start
	if out := sh.run(t, "nats --server "+s.nats+" stream info CALLBACKS"); !strings.Contains(out, "256 MiB") {
		t.Error("the limit is another")
	}
}
