package cli_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
)

// mourning is a standalone whose media host has nothing, until it is mended.
type mourning struct {
	*standalone
	broker *broker.Broker
	js     jetstream.JetStream

	mu     sync.Mutex
	mended bool
	served map[string]int // by path
}

func startMourning(tb testing.TB, more ...string) *mourning {
	tb.Helper()
	m := &mourning{standalone: newStandalone(tb), served: make(map[string]int)}
	listener, err := net.Listen("tcp", m.media)
	if err != nil {
		tb.Fatal(err)
	}
	host := &http.Server{Handler: http.HandlerFunc(m.serveMedia), ReadHeaderTimeout: patience}
	go func() { _ = host.Serve(listener) }()
	tb.Cleanup(func() { _ = host.Close() })
	m.start(tb, more...)
	if m.broker, err = broker.Connect(broker.Options{Logger: natstest.Logger(tb), Name: tb.Name(), URL: "nats://" + m.nats}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.broker.Close)
	conn, err := nats.Connect("nats://" + m.nats)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	if m.js, err = jetstream.New(conn); err != nil {
		tb.Fatal(err)
	}
	return m
}

func (m *mourning) serveMedia(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mended {
		w.WriteHeader(http.StatusGone)
		return
	}
	m.served[r.URL.Path]++
	_, _ = w.Write([]byte("RIFF\x24\x00\x00\x00WAVEfmt " + r.URL.Path))
}

func (m *mourning) mend() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mended = true
}

// body is a callback whose media host has not what it offers.
func (m *mourning) body(typ, task string) string {
	if typ == "music" {
		return fmt.Sprintf(`{"code":200,"msg":"ok","data":{"task_id":%q,"callbackType":"complete","data":[{"id":"one","audio_url":"http://%s/%s.mp3"}]}}`, task, m.media, task)
	}
	return fmt.Sprintf("{\"code\": 200,\t\"msg\": \"secret\u0085payload\", \"data\": {\"task_id\": %q, \"audioWavUrl\": \"http://%s/%s.wav\"}}\n", task, m.media, task)
}

// call posts callbacks without waiting for what becomes of them.
func (m *mourning) call(tb testing.TB, typ string, tasks ...string) {
	tb.Helper()
	for _, task := range tasks {
		m.callBack(tb, typ, m.body(typ, task))
	}
}

// callBack posts a body, as the provider does.
func (s *standalone) callBack(tb testing.TB, typ, body string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.listen+"/callbacks/"+typ, strings.NewReader(body))
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
		tb.Fatalf("%s: answered %d", body, response.StatusCode)
	}
}

// bury makes a dead letter of a callback of each task, one after another.
func (m *mourning) bury(tb testing.TB, typ string, tasks ...string) {
	tb.Helper()
	before := m.messages(tb, "dead-letters.>")
	for i, task := range tasks {
		m.call(tb, typ, task)
		eventually.Await(tb, "a dead letter", func() bool { return m.messages(tb, "dead-letters.>") == before+i+1 })
	}
}

// messages is how many messages there are on a subject.
func (m *mourning) messages(tb testing.TB, subject string) int {
	tb.Helper()
	name := "CALLBACKS"
	if strings.HasPrefix(subject, "dead-letters") {
		name = "DEAD_LETTERS"
	}
	stream, err := m.js.Stream(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	info, err := stream.Info(tb.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		tb.Fatal(err)
	}
	count := uint64(0)
	for _, n := range info.State.Subjects {
		count += n
	}
	return int(count)
}

// archived reports whether the task's media are safe.
func (m *mourning) archived(tb testing.TB, typ callback.Type, task string) bool {
	tb.Helper()
	doc, _, err := m.broker.Results().Get(tb.Context(), typ, callback.TaskID(task))
	if err != nil {
		tb.Fatal(err)
	}
	return doc.Archive == result.Archived
}

// servedOnce checks that the media of each task were fetched once.
func (m *mourning) servedOnce(tb testing.TB, tasks []string) {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, task := range tasks {
		if n := m.served["/"+task+".wav"]; n != 1 {
			tb.Errorf("the media of %s were fetched %d times", task, n)
		}
	}
}

// begin begins a command on dead letters.
func (m *mourning) begin(tb testing.TB, args ...string) *process {
	tb.Helper()
	return fanfare(tb, append(append([]string{"dead-letter"}, args...), "--nats-url", "nats://"+m.nats)...)
}

// command runs a command on dead letters to its end.
func (m *mourning) command(tb testing.TB, want int, args ...string) (out, err string) {
	tb.Helper()
	p := m.begin(tb, args...)
	if status := p.wait(); status != want {
		tb.Errorf("%v: status %d, want %d: %s", args, status, want, p.err.String())
	}
	if strings.Contains(p.err.String(), "payload") {
		tb.Errorf("%v: a payload in the log: %s", args, p.err.String())
	}
	return p.out.String(), p.err.String()
}

// numbers lists the numbers of the dead letters that args choose.
func (m *mourning) numbers(tb testing.TB, args ...string) []int {
	tb.Helper()
	out, _ := m.command(tb, 0, append([]string{"list", "--json"}, args...)...)
	var numbers []int
	for line := range strings.Lines(out) {
		var letter struct {
			Number int `json:"number"`
		}
		if err := json.Unmarshal([]byte(line), &letter); err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		numbers = append(numbers, letter.Number)
	}
	return numbers
}

func tasks(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("task-%d", i)
	}
	return names
}
