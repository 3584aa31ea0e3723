package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/eventually"
)

// polled is a standalone that asks a provider of the test's own about overdue tasks.
type polled struct {
	*mourning

	mu      sync.Mutex
	answers map[string]string // by task ID
	keys    []string          // that it was asked with
}

func startPolled(tb testing.TB) *polled {
	tb.Helper()
	p := &polled{answers: make(map[string]string)}
	provider := httptest.NewServer(http.HandlerFunc(p.serveDetails))
	tb.Cleanup(provider.Close)
	key := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(key, []byte("the key\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	p.mourning = startMourning(tb, "--provider-url", provider.URL, "--provider-key-file", key,
		"--egress-allow", "127.0.0.1", "--poll-after", "1s", "--poll-every", "500ms")
	return p
}

func (p *polled) serveDetails(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, r.Header.Get("Authorization"))
	id := r.URL.Query().Get("taskId")
	answer, ok := p.answers[id]
	if !ok {
		answer = `"successFlag":"PENDING"`
	}
	_, _ = fmt.Fprintf(w, `{"code":200,"msg":"success","data":{"taskId":%q,%s}}`, id, answer)
}

func (p *polled) answer(id, answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[id] = answer
}

// run runs a command against the standalone.
func (p *polled) run(tb testing.TB, want int, args ...string) string {
	tb.Helper()
	command := fanfare(tb, append(args, "--nats-url", "nats://"+p.nats)...)
	if status := command.wait(); status != want {
		tb.Errorf("%v: status %d, want %d: %s", args, status, want, command.err.String())
	}
	return command.out.String()
}

// state is the state of a WAV task in the ledger, "" if it is not there.
func (p *polled) state(tb testing.TB, id string) string {
	tb.Helper()
	out := p.run(tb, 0, "tasks", "list", "--json", "--type", "wav")
	for line := range strings.Lines(out) {
		var e struct {
			TaskID string `json:"task_id"`
			State  string `json:"state"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		if e.TaskID == id {
			return e.State
		}
	}
	return ""
}

func TestTaskWhoseCallbackIsLostIsFound(t *testing.T) {
	t.Parallel()
	p := startPolled(t)
	if out := p.run(t, 0, "expect", "wav", "lost"); out != "wav/lost is expected to call back\n" {
		t.Errorf("expect says %q", out)
	}
	if out := p.run(t, 0, "expect", "wav", "lost"); out != "wav/lost was announced before\n" {
		t.Errorf("again: %q", out)
	}
	eventually.Await(t, "it is overdue", func() bool { return p.state(t, "lost") == "overdue" })
	p.answer("lost", `"successFlag":"GENERATE_WAV_FAILED","errorCode":501,"errorMessage":"no"`)
	eventually.Await(t, "it is resolved", func() bool { return p.state(t, "lost") == "resolved" })
	eventually.Await(t, "it has a result", func() bool {
		doc, found, err := p.broker.Results().Get(t.Context(), "wav", "lost")
		return err == nil && found && doc.Code == 501
	})
	p.mu.Lock()
	for _, key := range p.keys {
		if key != "Bearer the key" {
			t.Errorf("asked with %q", key)
		}
	}
	p.mu.Unlock()
	if table := p.run(t, 0, "tasks", "list", "--state", "resolved"); strings.Count(table, "\n") != 2 || !strings.Contains(table, "lost") {
		t.Errorf("list:\n%s", table)
	}
	if out := p.run(t, 0, "tasks", "show", "wav", "lost"); !strings.Contains(out, `"state":"resolved"`) {
		t.Errorf("show: %s", out)
	}
	for _, row := range []struct{ args, want string }{
		{"tasks show wav other", "the ledger knows no task wav/other"},
		{"tasks show lyrics lost", "no consumer for type"},
		{"tasks list --state sideways", "--state"},
		{"expect lyrics t", "no consumer for type"},
		{"expect wav a/b", "task ID"},
		{"expect wav t --submitted-at 1000h", "30 days"},
		{"expect wav t --deadline soon", "--deadline"},
		{"expect wav t --provider https://api.kie.ai", "host name"},
		{"explain never-seen", "nothing is stored of a task never-seen"},
	} {
		command := fanfare(t, append(strings.Fields(row.args), "--nats-url", "nats://"+p.nats)...)
		if status := command.wait(); status == 0 || !strings.Contains(command.err.String(), row.want) {
			t.Errorf("%s: status %d: %s", row.args, status, command.err.String())
		}
	}
}

// story is what explain tells of a task, one word a line.
func (p *polled) story(tb testing.TB, id string) (words []string, text string) {
	tb.Helper()
	text = p.run(tb, 0, "explain", id, "--json")
	for line := range strings.Lines(text) {
		var e struct {
			What    string `json:"what"`
			Details string `json:"details"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		if e.What == "ledger" {
			e.What = "ledger: " + e.Details
		}
		words = append(words, e.What)
	}
	return words, text
}

// inOrder reports whether words has all of want, in that order.
func inOrder(words []string, want ...string) bool {
	for _, word := range words {
		if len(want) > 0 && strings.HasPrefix(word, want[0]) {
			want = want[1:]
		}
	}
	return len(want) == 0
}

func TestExplainTellsTheStoryOfATask(t *testing.T) {
	t.Parallel()
	p := startPolled(t)
	p.answer("dropped", `"successFlag":"GENERATE_WAV_FAILED","errorCode":501,"errorMessage":"no"`)
	p.run(t, 0, "expect", "wav", "dropped")
	failed := func(id, msg string) string {
		return fmt.Sprintf(`{"code":500,"msg":%q,"data":{"task_id":%q}}`, msg, id)
	}
	p.callBack(t, "wav", failed("doubled", "no"))
	p.callBack(t, "wav", failed("doubled", "no"))
	p.callBack(t, "wav", failed("conflicting", "no"))
	p.callBack(t, "wav", failed("conflicting", "yes"))
	p.bury(t, "wav", "buried")

	for id, row := range map[string]struct {
		want, never []string
		says        string
	}{
		"dropped":     {[]string{"announced", "ledger: expected", "poll", "ledger: poll: final", "ledger: resolved"}, []string{"callback", "duplicate", "conflict"}, "error, code 501: the provider was asked"},
		"doubled":     {[]string{"callback", "duplicate"}, []string{"conflict", "poll", "dead letter"}, "wav/doubled/error/500 came again"},
		"conflicting": {[]string{"callback", "conflict"}, []string{"duplicate", "poll", "dead letter"}, "conflict: "},
		"buried":      {[]string{"callback", "result", "dead letter"}, []string{"duplicate", "conflict"}, "permanent after 1 deliveries"},
	} {
		var words []string
		var text string
		eventually.Await(t, "the story of "+id+" is whole", func() bool {
			words, text = p.story(t, id)
			return inOrder(words, row.want...) && inOrder(words, "result")
		})
		for _, never := range row.never {
			if inOrder(words, never) {
				t.Errorf("%s: %s is told of:\n%s", id, never, text)
			}
		}
		if !strings.Contains(text, row.says) {
			t.Errorf("%s: it is not told that %q:\n%s", id, row.says, text)
		}
	}
	if table := p.run(t, 0, "explain", "buried", "--type", "wav"); !strings.HasPrefix(table, "TIME ") || !strings.Contains(table, "gone") {
		t.Errorf("for people:\n%s", table)
	}
	p.run(t, 1, "explain", "buried", "--type", "music")
}
