package cli_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// failed is a callback that no consumer has to fetch anything for.
func failed(id string) string {
	return fmt.Sprintf(`{"code":500,"msg":"","data":{"task_id":%q}}`, id)
}

// send sends a callback, with 0 for an answer that never came.
func (s *standalone) send(body string) (status int, header http.Header) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.listen+"/callbacks/wav", strings.NewReader(body))
	if err != nil {
		return 0, nil
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true // a connection that waits for another request may be told something unasked
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode, response.Header
}

// stored counts the stored callbacks of each task.
func (s *standalone) stored(tb testing.TB) map[string]int {
	tb.Helper()
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(tb), Name: tb.Name(), URL: "nats://" + s.nats})
	if err != nil {
		tb.Fatal(err)
	}
	defer b.Close()
	stored := make(map[string]int)
	err = b.Read(tb.Context(), "callbacks.>", func(m broker.Message) error {
		stored[m.Header["ce-subject"]]++
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return stored
}

// memory returns a field of what the system says of a process's memory, in bytes.
func (p *process) memory(field string) int64 {
	p.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.tb.Skipf("what a process takes of the memory is only known on Linux: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), field+":")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		p.tb.Fatal(err)
	}
	return kib << 10
}

// flood sends a head and then blocks for as long as they are taken, at most limit
// bytes, and returns the status of the answer, or 0 if the connection was cut.
func (s *standalone) flood(head, block string, limit int) (status int, err error) {
	conn, err := net.Dial("tcp", s.listen)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	go func() {
		_, err := io.WriteString(conn, head)
		for sent := 0; sent < limit && err == nil; sent += len(block) {
			_, err = io.WriteString(conn, block)
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, err
	}
	if err != nil {
		return 0, nil // it was cut
	}
	_ = response.Body.Close()
	return response.StatusCode, nil
}

// TestLargeBodiesTakeBoundedMemory sends bodies that are too large. Where the head
// says so nothing is kept of them; where it does not, up to 1 MiB may be, and all
// that is read into on the way to it.
func TestLargeBodiesTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	const floods = 100
	const head = "POST /callbacks/wav HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\n"
	block := strings.Repeat("x", 64<<10)
	for name, row := range map[string]struct {
		head, block string
		limit       int
		most        int64
	}{
		"declared": {head + "Content-Length: 104857600\r\n\r\n", block, 104857600, 64 << 20},
		"chunked":  {head + "Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%s\r\n", len(block), block), 2 << 20, 256 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandalone(t)
			s.start(t)
			before := s.memory("VmRSS")
			var running sync.WaitGroup
			var refused, cut atomic.Int64
			for range floods {
				running.Go(func() {
					switch status, err := s.flood(row.head, row.block, row.limit); {
					case err != nil:
						t.Error(err)
					case status == http.StatusRequestEntityTooLarge:
						refused.Add(1)
					case status == 0:
						cut.Add(1)
					default:
						t.Errorf("answered %d", status)
					}
				})
			}
			over := make(chan struct{})
			go func() { running.Wait(); close(over) }()
			sent := s.sendUntil(t, over)
			grown := s.memory("VmHWM") - before
			t.Logf("%d refused, %d cut, %d good ones meanwhile; %d MiB before, at most %d MiB more", refused.Load(), cut.Load(), sent, before>>20, grown>>20)
			if grown > row.most {
				t.Errorf("the process grew by %d MiB, want at most %d", grown>>20, row.most>>20)
			}
		})
	}
}

// sendUntil sends good callbacks, at least one, and counts them.
func (s *standalone) sendUntil(tb testing.TB, over <-chan struct{}) (sent int) {
	tb.Helper()
	for {
		if status, _ := s.send(failed(fmt.Sprint("good", sent))); status != http.StatusOK {
			tb.Errorf("a good callback meanwhile: answered %d", status)
		}
		sent++
		select {
		case <-over:
			return sent
		default:
		}
	}
}

// TestOutOfFilesIsOutlived opens more connections than a process may have files,
// and sends good callbacks all the same.
func TestOutOfFilesIsOutlived(t *testing.T) {
	t.Parallel()
	const files, conns, callbacks = 256, 600, 20
	for _, command := range []string{"standalone", "gateway"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s := startWithFiles(t, command, files)
			if status, _ := s.send(failed("before")); status != http.StatusOK {
				t.Fatalf("answered %d", status)
			}
			var running sync.WaitGroup
			var told, cut atomic.Int64
			for i := range conns {
				raw := [...]string{"", "POST /callbacks/wav HTT", "POST /callbacks/wav HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"}[i%3]
				running.Go(func() {
					switch status, err := s.flood(raw, " ", 0); {
					case err != nil:
						t.Errorf("connection %d hangs: %v", i, err)
					case status == 0:
						cut.Add(1)
					default:
						told.Add(1)
					}
				})
			}
			answers := s.burst(callbacks, "meanwhile")
			running.Wait()
			eventually.Await(t, "a good callback is answered 200 again", func() bool {
				status, _ := s.send(failed("after"))
				return status == http.StatusOK
			})
			awaitReady(t, s.ops)
			answers["before"], answers["after"] = http.StatusOK, http.StatusOK
			s.checkStored(t, answers)
			log := s.err.String()
			t.Logf("%d told, %d cut, callbacks meanwhile %v; %d bytes of log", told.Load(), cut.Load(), count(answers), len(log))
			if len(log) > (conns+callbacks)*1000 {
				t.Errorf("%d bytes of log", len(log))
			}
			if status := s.signal(syscall.SIGTERM); status != 0 {
				t.Errorf("ended with status %d", status)
			}
		})
	}
}

// startWithFiles starts a program that may open so many files and no more.
func startWithFiles(tb testing.TB, command string, files int) *standalone {
	tb.Helper()
	s := newStandalone(tb)
	args := []string{"-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files), built.fanfare(), command, "--listen", s.listen, "--ops-listen", s.ops}
	if command == "gateway" {
		nats := &separate{standalone: s}
		nats.startNATS(tb)
		if status := fanfare(tb, "provision", "--nats-url", "nats://"+s.nats).wait(); status != 0 {
			tb.Fatalf("provision ended with status %d", status)
		}
		args = append(args, "--nats-url", "nats://"+s.nats)
	} else {
		args = append(args, "--data-dir", s.dir, "--nats-listen", s.nats, "--store-max-bytes", "1000000000")
	}
	s.process = launch(tb, "sh", args...)
	awaitReady(tb, s.ops)
	return s
}

// burst sends so many callbacks at once, and returns how each was answered.
func (s *standalone) burst(n int, name string) map[string]int {
	var running sync.WaitGroup
	var mu sync.Mutex
	answers := make(map[string]int, n)
	start := make(chan struct{})
	for i := range n {
		running.Go(func() {
			id := fmt.Sprint(name, i)
			<-start
			status, header := s.send(failed(id))
			if status == http.StatusTooManyRequests && header.Get("Retry-After") == "" {
				status = -status
			}
			mu.Lock()
			defer mu.Unlock()
			answers[id] = status
		})
	}
	close(start)
	running.Wait()
	return answers
}

// count counts answers by status.
func count(answers map[string]int) map[int]int {
	counted := make(map[int]int)
	for _, status := range answers {
		counted[status]++
	}
	return counted
}

// checkStored holds what was answered 200 against what is stored.
func (s *standalone) checkStored(tb testing.TB, answers map[string]int) {
	tb.Helper()
	stored := s.stored(tb)
	for id, status := range answers {
		if n := stored[id]; status == http.StatusOK && n != 1 {
			tb.Errorf("%s was answered 200 and is stored %d times", id, n)
		}
	}
}

func TestBurstBeyondTheInFlightLimit(t *testing.T) {
	t.Parallel()
	const callbacks = 600
	s := newStandalone(t)
	s.start(t, "--max-in-flight", "8")
	answers := s.burst(callbacks, "burst")
	s.checkStored(t, answers)
	counted := count(answers)
	t.Logf("answers: %v", counted)
	if counted[http.StatusOK] == 0 || counted[http.StatusOK]+counted[http.StatusTooManyRequests] != callbacks {
		t.Errorf("answered %v, want 200 and 429 with Retry-After alone", counted)
	}
}

// TestHostileRequestsAddNoSeries counts the series after much that is unheard of,
// and after what happens every day. Nor is a secret shown by all this.
func TestHostileRequestsAddNoSeries(t *testing.T) {
	t.Parallel()
	const most = 600
	v, s := newVault(t), newStandalone(t)
	secrets := []string{"--hmac-key-file", v.keyFile, "--url-token-file", v.tokenFile, "--log-level", "debug"}
	s.start(t, secrets...)
	v.call("http://" + s.listen)
	for i := range 100 {
		id := fmt.Sprint("..hostile*", i)
		for _, body := range []string{
			fmt.Sprintf(`{"code":%d,"msg":"","data":{"task_id":%q,"callbackType":"error"}}`, i*1_000_003, id),
			fmt.Sprintf(`{"code":200,"msg":"","data":{"task_id":%q,"callbackType":"stage_%d"}}`, id, i),
		} {
			v.ask(http.MethodPost, "http://"+s.listen+"/callbacks/music/"+canaryToken, signed(canaryKey, id), body)
		}
		v.ask(http.MethodPost, fmt.Sprintf("http://%s/callbacks/type%d/%s", s.listen, i, canaryToken), signed(canaryKey, id), failed(id))
	}
	simulator := s.simulate(t, 20, secrets...)
	checkReport(t, simulator)
	series, types := 0, 0
	_, metrics := get("http://" + s.ops + "/metrics")
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "# TYPE ") {
			types++
		} else if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	t.Logf("%d series of %d metrics", series, types)
	if series > most || types < 20 {
		t.Errorf("%d series of %d metrics, want at most %d:\n%s", series, types, most, metrics)
	}
	v.operations(s.ops)
	v.processes = append(v.processes, s.process, simulator)
	v.check()
}
