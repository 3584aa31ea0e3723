package natsd_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"fanfare/pkg/natsd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	maxPayload = 256 << 10
	storeBytes = 64 << 20
)

// options is what the tests start a server with.
func options(tb testing.TB, dir string) natsd.Options {
	tb.Helper()
	return natsd.Options{
		Logger:        slog.New(slog.NewJSONHandler(tb.Output(), nil)),
		Dir:           dir,
		MaxPayload:    maxPayload,
		StoreMaxBytes: storeBytes,
	}
}

func start(tb testing.TB, o natsd.Options) *natsd.Server {
	tb.Helper()
	s, err := natsd.Start(o)
	if err != nil {
		tb.Fatalf("start: %v", err)
	}
	tb.Cleanup(s.Stop)
	return s
}

// connect connects to a server in process, or by TCP if url is not empty.
func connect(tb testing.TB, s *natsd.Server, url string) (*nats.Conn, jetstream.JetStream) {
	tb.Helper()
	var choices []nats.Option
	if url == "" {
		choices = append(choices, nats.InProcessServer(s))
	}
	conn, err := nats.Connect(url, choices...)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		tb.Fatal(err)
	}
	return conn, js
}

// refused starts a server that must not start, and returns why.
func refused(tb testing.TB, o natsd.Options, words ...string) error {
	tb.Helper()
	s, err := natsd.Start(o)
	if err == nil {
		s.Stop()
		tb.Fatal("started")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			tb.Errorf("error %q does not say %q", err, word)
		}
	}
	return err
}

func TestSecondServerOnADirectoryIsLockedOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, options(t, dir))
	if err := refused(t, options(t, dir), dir, "--data-dir"); !errors.Is(err, natsd.ErrLocked) {
		t.Errorf("%v is no ErrLocked", err)
	}
	_, js := connect(t, first, "")
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Errorf("the first server was disturbed: %v", err)
	}
}

func TestStoppedServerFreesItsDirectoryAndLeavesItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "by", "the server")
	first := start(t, options(t, dir))
	conn, js := connect(t, first, "")
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	first.Stop()

	_, js = connect(t, start(t, options(t, dir)), "")
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(t.Context(), 1)
	if err != nil || string(msg.Data) != "kept" {
		t.Errorf("message %v, %v", msg, err)
	}
}

func TestStoppingTwiceIsHarmless(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, options(t, dir))
	first.Stop()
	second := start(t, options(t, dir))
	first.Stop() // must not unlock what is the second's by now
	if err := refused(t, options(t, dir)); !errors.Is(err, natsd.ErrLocked) {
		t.Errorf("%v is no ErrLocked", err)
	}
	second.Stop()
	second.Stop()
}

func TestTakenPortIsNamedAndTheDirectoryFreed(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	o := options(t, t.TempDir())
	o.Listen = taken.Addr().String()
	refused(t, o, o.Listen)
	o.Listen = ""
	start(t, o)
}

func TestUnusableAddressesAreRefused(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"4222", "127.0.0.1", "127.0.0.1:", "127.0.0.1:nats", "127.0.0.1:-1", "127.0.0.1:65536", "::1:4222"} {
		t.Run(listen, func(t *testing.T) {
			t.Parallel()
			o := options(t, t.TempDir())
			o.Listen = listen
			refused(t, o, strconv.Quote(listen))
			o.Listen = ""
			start(t, o) // the failed start left no lock
		})
	}
}

func TestDirectoryThatCannotBeMadeIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, options(t, filepath.Join(file, "data")), "data directory", file)
}

func TestWithoutAnAddressOnlyThisProcessConnects(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, t.TempDir()))
	if addr := s.Addr(); addr != nil {
		t.Errorf("listens on %s", addr)
	}
	conn, _ := connect(t, s, "")
	if got := conn.MaxPayload(); got != maxPayload {
		t.Errorf("max_payload is %d, want %d", got, maxPayload)
	}
}

func TestOtherProcessesConnectWhereTheServerListens(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	o.Listen = "127.0.0.1:0"
	s := start(t, o)
	addr, ok := s.Addr().(*net.TCPAddr)
	if !ok || addr.Port == 0 || !addr.IP.IsLoopback() {
		t.Fatalf("listens on %v", s.Addr())
	}
	_, js := connect(t, s, "nats://"+addr.String())
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Errorf("no JetStream: %v", err)
	}
}

func TestStoppedServerTakesNobody(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	o.Listen = "127.0.0.1:0"
	s := start(t, o)
	addr := s.Addr().String()
	s.Stop()
	if _, err := s.InProcessConn(); err == nil {
		t.Error("connected in process")
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = listener.Close()
}

// The server has no upper bound of its own but what it is told.
func TestStoreIsBounded(t *testing.T) {
	t.Parallel()
	_, js := connect(t, start(t, options(t, t.TempDir())), "")
	stream := jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, MaxBytes: storeBytes + 1}
	if _, err := js.CreateStream(t.Context(), stream); err == nil {
		t.Error("a stream may be larger than the store")
	}
	stream.MaxBytes = storeBytes
	if _, err := js.CreateStream(t.Context(), stream); err != nil {
		t.Errorf("a stream as large as the store: %v", err)
	}
}

// Not parallel, for it looks at the goroutines of the whole process.
func TestCleanStopLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	o := options(t, t.TempDir())
	o.Listen = "127.0.0.1:0"
	s := start(t, o)
	conn, js := connect(t, s, "nats://"+s.Addr().String())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.Stop()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// A failed start belongs to a caller that goes on. Not parallel, as above.
func TestFailedStartLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	o := options(t, t.TempDir())
	o.Listen = taken.Addr().String()
	refused(t, o)
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// lines collects what a logger writes.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func TestServerLogsThroughOurLogger(t *testing.T) {
	t.Parallel()
	var log lines
	o := options(t, t.TempDir())
	o.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	start(t, o).Stop()
	if said := log.String(); !strings.Contains(said, `"component":"nats-server"`) || !strings.Contains(said, `"level":"DEBUG","msg":"server notice"`) {
		t.Errorf("log says %s", said)
	}

	var quiet lines
	o.Logger = slog.New(slog.NewJSONHandler(&quiet, nil))
	start(t, o).Stop()
	if said := quiet.String(); said != "" {
		t.Errorf("at level info the server says %s", said)
	}
}
