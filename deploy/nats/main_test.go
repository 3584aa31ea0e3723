// Package nats_test holds the configurations of NATS servers against real servers and
// fanfare's own commands: what each role can and cannot do.
package nats_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "fanfare/pkg/cli" // what the binary is built of, so that no test result outlives it
)

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// binaries are built once for all tests.
type binaries struct{ dir string }

var built binaries //nolint:gochecknoglobals // TestMain has no other way to hand it over

func (b binaries) fanfare() string    { return filepath.Join(b.dir, "fanfare") }
func (b binaries) natsServer() string { return filepath.Join(b.dir, "nats-server") }

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code) //nolint:forbidigo // TestMain must
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "fanfare-nats-test-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	built = binaries{dir}
	for path, pkg := range map[string]string{
		built.fanfare():    "fanfare",
		built.natsServer(): "github.com/nats-io/nats-server/v2",
	} {
		if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	return m.Run(), nil
}

// ports counts the ports that were handed out, so that none is handed out twice.
var ports atomic.Int64 //nolint:gochecknoglobals // tests run in parallel on one machine's ports

// freePort returns a port of loopback on which nobody listens, below those that systems
// give to outgoing connections.
func freePort(tb testing.TB) int {
	tb.Helper()
	const first, count = 10_000, 22_000
	for range count {
		port := int(first + (int64(os.Getpid())*31+ports.Add(1))%count)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatal("no port is free")
	return 0
}

func freeAddr(tb testing.TB) string {
	tb.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freePort(tb))
}

// output keeps what a process wrote.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a program under test.
type process struct {
	tb       testing.TB
	name     string
	cmd      *exec.Cmd
	out, err output
	done     chan struct{}
}

// launch starts a program; what still runs at the test's end is killed.
func launch(tb testing.TB, program string, env []string, args ...string) *process {
	tb.Helper()
	p := &process{tb: tb, name: strings.Join(args, " "), done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(tb.Context()), program, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.Dir, p.cmd.Env = tb.TempDir(), append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // its exit status says it
		close(p.done)
	}()
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done // it writes no more into directories that are about to be removed
		if tb.Failed() {
			tb.Logf("%s\n%s\n%s", p.name, p.out.String(), p.err.String())
		}
	})
	return p
}

// wait waits for the process's end and returns its exit status.
func (p *process) wait() int {
	p.tb.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.tb.Fatalf("%s never ended", p.name)
		return -1
	}
}
