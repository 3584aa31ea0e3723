package ops_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"fanfare/pkg/ops"
	"fanfare/schemas"
)

func TestDocumentIsServedAsItStands(t *testing.T) {
	t.Parallel()
	want, err := schemas.Files.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, ops.Options{OpenAPI: want})
	for method, body := range map[string]string{http.MethodGet: string(want), http.MethodHead: ""} {
		a := r.ask(method, "/openapi.yaml")
		if a.status != http.StatusOK || a.body != body {
			t.Errorf("%s: answered %d with %d bytes, want %d", method, a.status, len(a.body), len(body))
		}
		if got := a.header.Get("Content-Type"); got != "application/yaml" {
			t.Errorf("%s: Content-Type %q", method, got)
		}
		if got := a.header.Get("Content-Length"); got != strconv.Itoa(len(want)) {
			t.Errorf("%s: Content-Length %q, want %d", method, got, len(want))
		}
	}
	if a := r.ask(http.MethodPost, "/openapi.yaml"); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: answered %d, Allow %q", a.status, a.header.Get("Allow"))
	}
}

func TestWithoutADocumentThereIsNoRoute(t *testing.T) {
	t.Parallel()
	if a := start(t, ops.Options{}).get("/openapi.yaml"); a.status != http.StatusNotFound || strings.Contains(a.body, "openapi:") {
		t.Errorf("answered %d %s", a.status, a.body)
	}
}

// ask asks by any method.
func (r *rig) ask(method, path string) answer {
	r.tb.Helper()
	request, err := http.NewRequestWithContext(r.tb.Context(), method, "http://"+r.addr+path, http.NoBody)
	if err != nil {
		r.tb.Fatal(err)
	}
	a, err := r.send(request)
	if err != nil {
		r.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}
