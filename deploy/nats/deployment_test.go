package nats_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/subscribe"
)

// deployment is a gateway, a consumer and a reconciler, each a process with its own
// role, against a secured server.
type deployment struct {
	*secured
	listen    string // of the gateway
	media     string // URL of a media host
	processes []*process
	ops       []string // of the processes
}

// startDeployment starts the processes against a server that is provisioned.
func startDeployment(tb testing.TB, s *secured) *deployment {
	tb.Helper()
	d := &deployment{secured: s, listen: freeAddr(tb)}
	media := httptest.NewServer(http.HandlerFunc(serveMedia))
	tb.Cleanup(media.Close)
	provider := httptest.NewServer(http.HandlerFunc(serveDetails))
	tb.Cleanup(provider.Close)
	d.media = media.URL
	key := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(key, []byte("the key\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	d.run(tb, "gateway", "gateway", "--listen", d.listen)
	d.run(tb, "consumer-wav", "consumer", "wav", "--archive-url", "file://"+tb.TempDir(), "--egress-allow", media.Listener.Addr().String())
	d.run(tb, "reconciler", "reconciler", "--provider-url", provider.URL, "--provider-key-file", key,
		"--egress-allow", "127.0.0.1", "--poll-after", "200ms", "--poll-every", "200ms")
	for _, ops := range d.ops {
		eventually.Await(tb, ops+" ready", func() bool { return strings.Contains(get(tb, ops, "/readyz"), `"ready":true`) })
	}
	return d
}

// serveMedia has one file.
func serveMedia(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/a.wav" {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, "RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x44\xac\x00\x00\x88\x58\x01\x00\x02\x00\x10\x00data\x00\x08\x00\x00"+strings.Repeat("\x00", 2048))
}

// serveDetails says of every task that it failed.
func serveDetails(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, `{"code":200,"msg":"success","data":{"taskId":%q,"successFlag":"GENERATE_WAV_FAILED","errorCode":501,"errorMessage":"no"}}`,
		r.URL.Query().Get("taskId"))
}

func (d *deployment) run(tb testing.TB, role string, args ...string) {
	tb.Helper()
	ops := freeAddr(tb)
	args = append(append(args, "--ops-listen", ops), d.flags(role)...)
	d.processes, d.ops = append(d.processes, launch(tb, built.fanfare(), nil, args...)), append(d.ops, ops)
}

func get(tb testing.TB, addr, path string) string {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	return answer(request)
}

// answer is what is answered to a request, or why nothing is.
func answer(request *http.Request) string {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// post sends a callback and returns the answer.
func (d *deployment) post(tb testing.TB, body string) string {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, "http://"+d.listen+"/callbacks/wav", strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return answer(request)
}

func callbackOf(task, file string) string {
	return fmt.Sprintf(`{"code":200,"msg":"success","data":{"audioWavUrl":%q,"task_id":%q}}`, file, task)
}

// checkPeace stops the processes and checks that nobody tried what is forbidden.
func (d *deployment) checkPeace(tb testing.TB) {
	tb.Helper()
	for _, p := range d.processes {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		if status := p.wait(); status != 0 {
			tb.Errorf("%s ended with status %d", p.name, status)
		}
		if strings.Contains(p.err.String(), "ermissions") {
			tb.Errorf("%s:\n%s", p.name, p.err.String())
		}
	}
	if lines := d.violations(); len(lines) > 0 {
		tb.Errorf("the server saw:\n%s", strings.Join(lines, ""))
	}
}

// service connects as a user's own service in Go does.
func (s *secured) service(tb testing.TB) *broker.Broker {
	tb.Helper()
	b, err := broker.Connect(broker.Options{
		Logger: natstest.Logger(tb), Name: "billing", URL: s.url(), NKeyFile: s.secret("subscriber.nk"), CAFile: s.secret("ca.pem"),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	return b
}

// seen are the callbacks and results that a service was handed, each as one line.
func seen(tb testing.TB, b *broker.Broker) *output {
	tb.Helper()
	service, err := subscribe.New(subscribe.Options{Logger: natstest.Logger(tb), Broker: b, Name: "billing"})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(tb.Context())
	lines, ended := new(output), make(chan error, 2)
	go func() {
		ended <- service.Callbacks(ctx, "wav", func(_ context.Context, cb callback.Callback) error {
			_, err := fmt.Fprintln(lines, "callback", cb.TaskID, cb.Code, cb.Polled)
			return err
		})
	}()
	go func() { ended <- service.Results(ctx, "wav", lines.result) }()
	tb.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				tb.Error(err)
			}
		}
	})
	return lines
}

func TestServicesOwnClientsHaveWhatTheReadmeShows(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	if err := s.try(t, "consumer-wav", action{"", store, "$KV.RESULTS.wav.a", "{}", ""}); err != nil {
		t.Fatal(err)
	}
	conn, err := s.connect("subscriber")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := js.CreateOrUpdateConsumer(ctx, "CALLBACKS", jetstream.ConsumerConfig{
		Durable: "billing", FilterSubjects: []string{"callbacks.*.complete", "callbacks.*.error"}, AckPolicy: jetstream.AckExplicitPolicy,
	}); err != nil {
		t.Error(err)
	}
	kv, err := js.KeyValue(ctx, "RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	if entry, err := kv.Get(ctx, "wav.a"); err != nil || string(entry.Value()) != "{}" {
		t.Errorf("%v, %v", entry, err)
	}
	watcher, err := kv.Watch(ctx, "wav.>")
	if err != nil {
		t.Fatal(err)
	}
	select {
	case entry := <-watcher.Updates():
		if entry.Key() != "wav.a" {
			t.Errorf("saw %s", entry.Key())
		}
	case <-time.After(patience):
		t.Error("saw nothing")
	}
	if err := watcher.Stop(); err != nil {
		t.Error(err)
	}
	if lines := s.violations(); len(lines) > 0 {
		t.Errorf("the server saw:\n%s", strings.Join(lines, ""))
	}
}
