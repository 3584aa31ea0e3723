package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "fanfare/pkg/cli" // what the binary is built of, so that no test result outlives it
	"fanfare/pkg/eventually"
)

// patience is how long a test waits for what must come; it says nothing about
// how fast it should. A message that was in a killed process's hand comes back
// after the durable's ack wait of 60 s.
const patience = 3 * time.Minute

// atOnce is how many tests run at the same time, on a small machine too: most of what
// they do is wait for other processes.
const atOnce = 4

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
	dir, err := os.MkdirTemp("", "fanfare-test-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	built = binaries{dir}
	for _, args := range [][]string{
		append(raceFlags(), "-o", built.fanfare(), "fanfare"),
		{"-o", built.natsServer(), "github.com/nats-io/nats-server/v2"},
	} {
		if out, err := exec.CommandContext(context.Background(), "go", append([]string{"build"}, args...)...).CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build %v: %w\n%s", args, err, out)
		}
	}
	if err := flag.Set("test.parallel", strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0)))); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// raceFlags have fanfare built with the race detector where the tests are.
func raceFlags() []string {
	info, ok := debug.ReadBuildInfo()
	if ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return []string{"-race"}
	}
	return nil
}

// ports counts the addresses that were handed out, so that none is handed out twice.
var ports atomic.Int64 //nolint:gochecknoglobals // tests run in parallel on one machine's ports

// freeAddr returns a loopback address that nobody listens on. Its port is below those
// that systems give to outgoing connections: who was away finds it free again.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	const first, count = 10_000, 22_000
	for range count {
		port := first + (int64(os.Getpid())*31+ports.Add(1))%count
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return l.Addr().String()
		}
	}
	tb.Fatal("no port is free")
	return ""
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
	done     chan error
}

// launch starts a program; what still runs at the test's end is killed.
func launch(tb testing.TB, program string, args ...string) *process {
	tb.Helper()
	p := &process{tb: tb, name: strings.Join(args, " "), cmd: exec.CommandContext(context.WithoutCancel(tb.Context()), program, args...), done: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.Dir = tb.TempDir()
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		p.done <- p.cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done // it writes no more into directories that are about to be removed
		if strings.Contains(p.err.String(), "DATA RACE") {
			tb.Errorf("%s: a data race:\n%s", p.name, p.err.String())
		}
		if tb.Failed() {
			tb.Logf("%s\n%s\n%s", p.name, p.out.String(), tail(p.err.String()))
		}
	})
	return p
}

func tail(log string) string {
	const last = 8 << 10
	if len(log) > last {
		return "…" + log[len(log)-last:]
	}
	return log
}

func fanfare(tb testing.TB, args ...string) *process {
	tb.Helper()
	return launch(tb, built.fanfare(), args...)
}

// wait waits for the process's end and returns its exit status.
func (p *process) wait() int {
	p.tb.Helper()
	select {
	case err := <-p.done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			p.tb.Fatal(err)
		}
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(2 * patience):
		p.tb.Fatalf("%s never ended", p.name)
		return -1
	}
}

// signal sends a signal and waits for the process's end.
func (p *process) signal(s syscall.Signal) int {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.tb.Fatal(err)
	}
	return p.wait()
}

// awaitReady waits until the process says over HTTP that it is ready.
func awaitReady(tb testing.TB, opsListen string) {
	tb.Helper()
	eventually.Await(tb, opsListen+" ready", func() bool {
		status, _ := get("http://" + opsListen + "/readyz")
		return status == http.StatusOK
	})
}

func get(url string) (status int, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}
