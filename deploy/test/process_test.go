package deploy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"fanfare/deploy/test/eventually"
	"fanfare/deploy/test/programs"
)

// patience bounds every wait for something that is to happen.
const patience = 90 * time.Second

// process is a program that runs until the test ends.
type process struct {
	name string
	pid  int
	stop func() // ends it, and waits until it has

	programs.Output
}

// start starts a program, which ends with the test.
func start(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{name: path + " " + args[0]}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, path, args...)
	command.Stdout, command.Stderr = p, p
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience
	if err := command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	p.pid = command.Process.Pid
	p.stop = sync.OnceFunc(func() {
		cancel()
		_ = command.Wait()
	})
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s: the last of its output:\n%s", p.name, p.Tail())
		}
	})
	return p
}

// says waits until the program's output matches, and returns what the group holds.
func (p *process) says(t *testing.T, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	var found string
	eventually.Await(t, p.name+" to say "+pattern, func() bool {
		match := expression.FindStringSubmatch(p.String())
		if match != nil {
			found = match[1]
		}
		return match != nil
	})
	return found
}

// get returns the body of an answer, or "" if it is not 200.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
