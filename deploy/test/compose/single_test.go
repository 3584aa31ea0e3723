package compose_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// TestSingle sends a callback, kills the container, and finds the callback in the next.
func TestSingle(t *testing.T) {
	t.Parallel()
	p := newProject(t, "deploy/compose.single.yml")
	p.compose(t, "up", "--wait")
	body, err := os.ReadFile(root + "/schemas/examples/wav/complete.json")
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(p.compose(t, "run", "--rm", "--no-TTY", "url", "wav"))
	if err != nil {
		t.Fatal(err)
	}
	if status, err := post(t.Context(), p.url(t, "fanfare", 8080)+target.Path, string(body), nil); err != nil || status != http.StatusOK {
		t.Fatalf("answered %d, %v", status, err)
	}
	if status, err := post(t.Context(), p.url(t, "fanfare", 8080)+"/callbacks/wav", string(body), nil); err != nil || status != http.StatusNotFound {
		t.Errorf("without the token: answered %d, %v", status, err)
	}
	ask(t, "kill", p.container("fanfare", 1))
	p.compose(t, "up", "--wait")
	told := p.compose(t, "exec", "--no-TTY", "fanfare", "/fanfare", "explain", "988e****c8d3")
	if !strings.Contains(told, "callbacks.wav.complete") {
		t.Errorf("after the kill: %s", told)
	}
	if status, err := post(t.Context(), p.url(t, "fanfare", 8080)+target.Path, string(body), nil); err != nil || status != http.StatusOK {
		t.Errorf("after the kill: answered %d, %v", status, err)
	}
}
