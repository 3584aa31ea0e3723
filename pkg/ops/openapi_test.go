package ops_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"fanfare/pkg/ops"
	"fanfare/schemas"
)

func TestDocumentsAreServedAsTheyStand(t *testing.T) {
	t.Parallel()
	for name, serving := range map[string]func([]byte) ops.Options{
		"openapi.yaml":  func(document []byte) ops.Options { return ops.Options{OpenAPI: document} },
		"asyncapi.yaml": func(document []byte) ops.Options { return ops.Options{AsyncAPI: document} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := schemas.Files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, serving(want))
			for method, body := range map[string]string{http.MethodGet: string(want), http.MethodHead: ""} {
				a := r.ask(method, "/"+name)
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
			if a := r.ask(http.MethodPost, "/"+name); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("POST: answered %d, Allow %q", a.status, a.header.Get("Allow"))
			}
		})
	}
}

func TestWithoutADocumentThereIsNoRoute(t *testing.T) {
	t.Parallel()
	r := start(t, ops.Options{})
	for _, name := range []string{"openapi", "asyncapi"} {
		if a := r.get("/" + name + ".yaml"); a.status != http.StatusNotFound || strings.Contains(a.body, name+":") {
			t.Errorf("answered %d %s", a.status, a.body)
		}
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
