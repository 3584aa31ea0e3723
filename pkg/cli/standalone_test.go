package cli_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
	"fanfare/schemas"
)

// standalone is everything in one process, with addresses of its own.
type standalone struct {
	*process
	dir, listen, ops, nats, media string
}

func newStandalone(tb testing.TB) *standalone {
	tb.Helper()
	return &standalone{
		dir: tb.TempDir(), listen: freeAddr(tb), ops: freeAddr(tb), nats: freeAddr(tb), media: freeAddr(tb),
	}
}

// start starts it, on the same addresses and data each time, and waits until it
// is ready.
func (s *standalone) start(tb testing.TB, more ...string) {
	tb.Helper()
	s.process = fanfare(tb, append([]string{
		"standalone", "--data-dir", s.dir, "--listen", s.listen, "--ops-listen", s.ops, "--nats-listen", s.nats,
		"--store-max-bytes", "1000000000", "--egress-allow", s.media,
	}, more...)...)
	awaitReady(tb, s.ops)
}

// simulate plays the provider against it.
func (s *standalone) simulate(tb testing.TB, tasks int, more ...string) *process {
	tb.Helper()
	return fanfare(tb, append([]string{
		"simulate", "--target", "http://" + s.listen, "--nats-url", "nats://" + s.nats, "--media-listen", s.media,
		"--tasks", fmt.Sprint(tasks), "--rate", "40", "--seed", "1", "--speed", "60",
	}, more...)...)
}

func (s *standalone) post(tb testing.TB, typ, example string) {
	tb.Helper()
	body, err := schemas.Files.Open("examples/" + typ + "/" + example + ".json")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.listen+"/callbacks/"+typ, body)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		tb.Fatalf("%s/%s: answered %d", typ, example, response.StatusCode)
	}
}

// checkReport holds the simulator's report against what it must say.
func checkReport(tb testing.TB, simulator *process) {
	tb.Helper()
	if status := simulator.wait(); status != 0 {
		tb.Fatalf("simulate ended with status %d", status)
	}
	for _, row := range []string{"missing", "wrong"} {
		if !strings.Contains(strings.Join(strings.Fields(simulator.out.String()), " "), " "+row+" 0 ") {
			tb.Errorf("%s is not 0:\n%s", row, simulator.out.String())
		}
	}
}

// checkArchive holds every archived file of every result against what the
// result says of it, and looks for partial files that were left over.
func (s *standalone) checkArchive(tb testing.TB, archive string) {
	tb.Helper()
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(tb), Name: tb.Name(), URL: "nats://" + s.nats})
	if err != nil {
		tb.Fatal(err)
	}
	defer b.Close()
	documents := lastResults(tb, b)
	files := 0
	for _, doc := range documents {
		for _, m := range doc.Media {
			if m.Error != "" { // the media host is to blame, and the simulator has judged it
				continue
			}
			files++
			body, err := os.ReadFile(filepath.Join(archive, filepath.FromSlash(m.Key)))
			if err != nil {
				tb.Error(err)
				continue
			}
			if sum := sha256.Sum256(body); int64(len(body)) != m.Bytes || hex.EncodeToString(sum[:]) != m.SHA256 {
				tb.Errorf("%s is not as its result says", m.Key)
			}
		}
	}
	if files == 0 {
		tb.Errorf("no files in %d results", len(documents))
	}
	err = filepath.WalkDir(archive, func(path string, entry os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(entry.Name(), ".tmp") {
			tb.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil {
		tb.Error(err)
	}
}

// lastResults returns the last document of every task.
func lastResults(tb testing.TB, b *broker.Broker) map[string]result.Document {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	documents := make(map[string]result.Document)
	quiet := time.AfterFunc(5*time.Second, cancel)
	err := b.Follow(ctx, "results.>", time.Unix(0, 1), func(m broker.Message) error {
		quiet.Reset(2 * time.Second)
		var doc result.Document
		if err := json.Unmarshal(m.Body, &doc); err != nil {
			return err
		}
		documents[m.Subject] = doc
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return documents
}

func TestStandaloneTakesASimulationToItsEnd(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	for _, hint := range []string{"fanfare is ready", s.listen, s.ops, s.nats, "tail"} {
		if !strings.Contains(s.out.String(), hint) {
			t.Errorf("the welcome does not say %q:\n%s", hint, s.out.String())
		}
	}
	checkReport(t, s.simulate(t, 150, "--seed", everyFaultSeed))
	s.checkArchive(t, filepath.Join(s.dir, "archive"))
	s.checkTrouble(t)
	if status := s.signal(syscall.SIGTERM); status != 0 {
		t.Errorf("standalone ended with status %d", status)
	}
}

func TestKilledStandaloneLosesNothing(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	simulator := s.simulate(t, 150)
	for range 2 {
		eventually.Await(t, "callbacks on their way", func() bool { return strings.Count(s.err.String(), `"msg":"delivery"`) > 60 })
		s.signal(syscall.SIGKILL)
		s.start(t)
	}
	checkReport(t, simulator)
	s.checkArchive(t, filepath.Join(s.dir, "archive"))
}

func TestSecondProcessOnADataDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	second := fanfare(t, "standalone", "--data-dir", s.dir, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--nats-listen", "off")
	if status := second.wait(); status != 1 || !strings.Contains(second.err.String(), "in use by another process") {
		t.Errorf("status %d: %s", status, second.err.String())
	}
}

func TestListeningBeyondLoopbackNeedsPermission(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--listen", "--nats-listen"} {
		p := fanfare(t, "standalone", "--data-dir", t.TempDir(), "--ops-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--nats-listen", "off",
			"--store-max-bytes", "1000000000", flag, "0.0.0.0:0")
		if status := p.wait(); status != 1 || !strings.Contains(p.err.String(), "--allow-unauthenticated") {
			t.Errorf("%s: status %d: %s", flag, status, p.err.String())
		}
	}
}

func TestDataDirectoryMayHaveAnyName(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.dir = filepath.Join(s.dir, "a #1?%41 b")
	s.start(t)
	checkReport(t, s.simulate(t, 5))
	s.checkArchive(t, filepath.Join(s.dir, "archive"))
}

func TestTakenPortIsReported(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	for _, flag := range []struct{ name, address string }{
		{"--listen", s.listen},
		{"--ops-listen", s.ops},
		{"--nats-listen", s.nats},
	} {
		t.Run(flag.name, func(t *testing.T) {
			t.Parallel()
			args := map[string]string{"--listen": "127.0.0.1:0", "--ops-listen": "127.0.0.1:0", "--nats-listen": "127.0.0.1:0"}
			args[flag.name] = flag.address
			line := []string{"standalone", "--data-dir", t.TempDir(), "--store-max-bytes", "1000000000"}
			for name, value := range args {
				line = append(line, name, value)
			}
			p := fanfare(t, line...)
			if status := p.wait(); status != 1 || !strings.Contains(p.err.String(), "address already in use") {
				t.Errorf("status %d: %s", status, p.err.String())
			}
		})
	}
}

// TestDemoMovesTheWholeLine runs the demonstration where a simulator listens already, as it does beside another one.
func TestDemoMovesTheWholeLine(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "127.0.0.1:8089"); err == nil {
		defer func() { _ = l.Close() }()
	}
	s := newStandalone(t)
	s.process = fanfare(t, "standalone", "--demo", "--data-dir", s.dir, "--listen", s.listen, "--ops-listen", s.ops, "--nats-listen", s.nats,
		"--store-max-bytes", "1000000000")
	awaitReady(t, s.ops)
	eventually.Await(t, "a file archived", func() bool {
		_, metrics := get("http://" + s.ops + "/metrics")
		return strings.Contains(metrics, "fanfare_archive_files_total") && !allZero(metrics, "fanfare_archive_files_total")
	})
	if status := s.signal(syscall.SIGINT); status != 0 {
		t.Errorf("ended with status %d", status)
	}
}

// allZero reports whether every series of a metric is 0.
func allZero(metrics, name string) bool {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, name) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return false
		}
	}
	return true
}
