package gateway_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-json-experiment/json"

	"fanfare/gateway"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
	"fanfare/schemas"
)

const describedKey, describedToken = "the key of the description, long enough", "the-token-of-the-description"

// description is the OpenAPI document, and what was seen of its answers.
type description struct {
	doc    *openapi3.T
	router routers.Router
	seen   map[string]bool // by status and the name of the example
}

// describe reads the document, and the files that it refers to, as published.
func describe(tb testing.TB) *description {
	tb.Helper()
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, location *url.URL) ([]byte, error) {
		if path.Ext(location.Path) != ".json" {
			return schemas.Files.ReadFile(location.Path)
		}
		schema := embedded(tb, location.Path)
		return json.Marshal(bundled(tb, schema, schema))
	}
	doc, err := loader.LoadFromURI(&url.URL{Path: "openapi.yaml"})
	if err != nil {
		tb.Fatal(err)
	}
	// Examples are outside the document, or held against the gateway's answers.
	if err := doc.Validate(tb.Context(), openapi3.DisableExamplesValidation()); err != nil {
		tb.Fatal(err)
	}
	doc.Servers = nil // the one that is tested is anywhere
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return &description{doc: doc, router: router, seen: make(map[string]bool)}
}

// embedded reads a published JSON file.
func embedded(tb testing.TB, name string) any {
	tb.Helper()
	raw, err := schemas.Files.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return value
}

// bundled returns part of the schema root with every reference replaced by what
// it refers to, because the validator sees one schema at a time.
func bundled(tb testing.TB, part, root any) any {
	tb.Helper()
	switch part := part.(type) {
	case []any:
		whole := make([]any, 0, len(part))
		for _, element := range part {
			whole = append(whole, bundled(tb, element, root))
		}
		return whole
	case map[string]any:
		whole := make(map[string]any, len(part))
		for name, member := range part {
			if name != "$ref" && name != "$defs" && name != "$schema" {
				whole[name] = bundled(tb, member, root)
			}
		}
		if ref, ok := part["$ref"].(string); ok {
			file, pointer, _ := strings.Cut(ref, "#")
			if file != "" {
				root = embedded(tb, file)
			}
			target := root
			for name := range strings.FieldsFuncSeq(pointer, func(c rune) bool { return c == '/' }) {
				target = target.(map[string]any)[name]
			}
			whole["allOf"] = []any{bundled(tb, target, root)}
		}
		return whole
	}
	return part
}

// request holds a request against the document; signed asks for both headers of
// a signature.
func (d *description) request(raw string, signed bool) error {
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return err
	}
	route, params, err := d.router.FindRoute(request)
	if err != nil {
		return err
	}
	input := &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: func(_ context.Context, asked *openapi3filter.AuthenticationInput) error {
			if scheme := asked.SecurityScheme; scheme.In != "header" || request.Header.Get(scheme.Name) == "" {
				return fmt.Errorf("no header %s", scheme.Name)
			}
			return nil
		},
	}}
	if err := openapi3filter.ValidateRequest(request.Context(), input); err != nil || !signed {
		return err
	}
	alternatives := slices.DeleteFunc(slices.Clone(d.doc.Security), func(r openapi3.SecurityRequirement) bool { return len(r) == 0 })
	return openapi3filter.ValidateSecurityRequirements(request.Context(), input, alternatives)
}

// answer holds an answer to a request for a documented URL against the document.
func (d *description) answer(pattern string, a answer) error {
	item := d.doc.Paths.Value(pattern)
	if item == nil || item.Post == nil {
		return fmt.Errorf("POST %s is not described", pattern)
	}
	response := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: &http.Request{Method: http.MethodPost},
			Route:   &routers.Route{Spec: d.doc, Path: pattern, PathItem: item, Method: http.MethodPost, Operation: item.Post},
		},
		Status:  a.status,
		Header:  a.header,
		Body:    io.NopCloser(strings.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), response); err != nil {
		return err
	}
	described := item.Post.Responses.Status(a.status).Value
	for name := range a.header {
		usual := []string{"Content-Type", "Content-Length", "Date", "Connection"}
		if _, known := described.Headers[name]; !known && !slices.Contains(usual, name) {
			return fmt.Errorf("header %s is not described", name)
		}
	}
	return d.example(a, described.Content.Get(a.header.Get("Content-Type")))
}

// example finds the answer, word for word, among the documented ones.
func (d *description) example(a answer, content *openapi3.MediaType) error {
	for name, example := range content.Examples {
		body, plain := example.Value.Value.(string)
		if value, ok := example.Value.Value.(map[string]any); ok {
			body, plain = fmt.Sprintf(`{"code":%v,"msg":%s}`, value["code"], strconv.Quote(fmt.Sprint(value["msg"]))), true
		}
		if plain && a.body == body {
			d.seen[fmt.Sprint(a.status, " ", name)] = true
			return nil
		}
	}
	return fmt.Errorf("%d %s is no documented example", a.status, a.body)
}

func TestEveryTypeIsDescribedAndNothingElse(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	d := describe(t)
	var want []string
	for _, typ := range contracts.Types() {
		pattern := "/callbacks/" + string(typ)
		want = append(want, pattern, pattern+"/{token}")
		for _, pattern := range want[len(want)-2:] {
			item := d.doc.Paths.Value(pattern)
			if item == nil || item.Post == nil || len(item.Operations()) != 1 {
				t.Fatalf("%s is not described by POST alone", pattern)
			}
			content := item.Post.RequestBody.Value.Content
			body := content["application/json"]
			if len(content) != 1 || body == nil || body.Schema.Ref != string(typ)+".json" {
				t.Fatalf("%s: the body is not described by %s.json alone", pattern, typ)
			}
			shown := make(map[string]bool)
			for _, example := range body.Examples {
				shown[strings.TrimPrefix(example.Value.ExternalValue, "examples/")] = true
			}
			for name := range examples(t) {
				if path.Dir(name) == string(typ) != shown[name] {
					t.Errorf("%s: example %s is shown: %t", pattern, name, shown[name])
				}
			}
		}
	}
	if got := slices.Sorted(maps.Keys(d.doc.Paths.Map())); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("described are %v, want %v", got, want)
	}
}

func TestEveryExampleIsAsDescribed(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	d, b := describe(t), natstest.Broker(t)
	plain := start(t, b)
	locked := start(t, b, withKeys(secretFile(t, describedKey)), func(o *gateway.Options) {
		o.URLTokenFiles = []string{secretFile(t, describedToken)}
	})
	for name, body := range examples(t) {
		t.Run(name, func(t *testing.T) {
			callbackURL := "/callbacks/" + path.Dir(name)
			cb, err := contracts[callback.Type(path.Dir(name))].Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			now := fmt.Sprint(time.Now().Unix())
			header := signed(now, sign(describedKey, string(cb.TaskID), now))
			for _, way := range []struct {
				rig     *rig
				pattern string
				sent    sent
			}{
				{plain, callbackURL, sent{path: callbackURL, body: string(body)}},
				{locked, callbackURL + "/{token}", sent{path: callbackURL + "/" + describedToken, header: header, body: string(body)}},
			} {
				if err := d.request(way.sent.raw(), way.rig == locked); err != nil {
					t.Errorf("the request to %s: %v", way.pattern, err)
				}
				a := way.rig.exchange(way.sent.raw(), http.MethodPost)
				if err := d.answer(way.pattern, a); err != nil || a.status != http.StatusOK {
					t.Errorf("the answer of %s: %d %s: %v", way.pattern, a.status, a.body, err)
				}
			}
		})
	}
}

// TestEveryAnswerIsAsDescribed brings about every answer that the document
// lists, and takes none that it does not list.
func TestEveryAnswerIsAsDescribed(t *testing.T) {
	t.Parallel()
	d, b := describe(t), natstest.Broker(t)
	open := start(t, b)
	keyed := start(t, b, withKeys(secretFile(t, describedKey)))
	elsewhere := start(t, b, func(o *gateway.Options) { o.AllowFrom = []string{"192.0.2.0/24"} })
	locked := start(t, b, func(o *gateway.Options) { o.URLTokenFiles = []string{secretFile(t, describedToken)} })
	server := natstest.Start(t, t.TempDir(), "")
	severed := start(t, natstest.Provisioned(t, server))
	server.Stop()
	full := busy(t, natstest.Broker(t), sent{body: goodWAV}.raw())

	const wav, wavToken = "/callbacks/wav", "/callbacks/wav/{token}"
	body := func(data string) string { return `{"code":200,"msg":"","data":` + data + `}` }
	padded := "Content-Type: application/json\r\nX-Padding: " + strings.Repeat("x", 33<<10) + "\r\n"
	good := sent{body: goodWAV}.raw()
	for _, row := range []struct {
		name    string
		rig     *rig
		pattern string // wav
		raw     string
		want    int
		valid   bool // whether the document allows the request, so that its form is not what is refused
	}{
		{name: "stored", rig: open, raw: good, want: 200, valid: true},
		{name: "not JSON", rig: open, raw: sent{body: "task_id=1"}.raw(), want: 400},
		{name: "no task ID", rig: open, raw: sent{body: body(`{"audioWavUrl":"https://example.com/a.wav"}`)}.raw(), want: 400, valid: true}, // the schema cannot say it
		{name: "no result", rig: open, raw: sent{body: body(`{"task_id":"t2","audioWavUrl":null}`)}.raw(), want: 400},
		{name: "bad URL", rig: open, raw: sent{body: body(`{"task_id":"t2","audioWavUrl":"file:///etc/passwd"}`)}.raw(), want: 400, valid: true}, // the format is ours
		{name: "length twice", rig: open, raw: strings.Replace(good, "Connection:", fmt.Sprintf("Content-Length: %d\r\nConnection:", len(goodWAV)), 1), want: 400, valid: true},
		{name: "no host", rig: open, raw: strings.Replace(good, "Host: fanfare\r\n", "", 1), want: 400, valid: true},
		{name: "unsigned", rig: keyed, raw: good, want: 401, valid: true},
		{name: "from elsewhere", rig: elsewhere, raw: good, want: 403, valid: true},
		{name: "unknown type", rig: open, raw: sent{path: "/callbacks/lyrics", body: goodWAV}.raw(), want: 404},
		{name: "token too many", rig: open, pattern: wavToken, raw: sent{path: wav + "/x", body: goodWAV}.raw(), want: 404, valid: true},
		{name: "token too few", rig: locked, raw: good, want: 404, valid: true},
		{name: "wrong token", rig: locked, pattern: wavToken, raw: sent{path: wav + "/x", body: goodWAV}.raw(), want: 404, valid: true},
		{name: "GET", rig: open, raw: sent{method: http.MethodGet}.raw(), want: 405},
		{name: "too large", rig: open, raw: sent{body: goodWAV + strings.Repeat(" ", 1<<20)}.raw(), want: 413, valid: true},
		{name: "text", rig: open, raw: sent{header: "Content-Type: text/plain\r\n", body: goodWAV}.raw(), want: 415},
		{name: "too many", rig: full, raw: good, want: 429, valid: true},
		{name: "large head", rig: open, raw: sent{header: padded, body: goodWAV}.raw(), want: 431, valid: true},
		{name: "endless head", rig: open, raw: sent{header: padded + padded}.raw()[:36<<10], want: 431}, // as much as net/http reads: what it left unread would reset the connection
		{name: "broker gone", rig: severed, raw: good, want: 503, valid: true},
		{name: "HTTP/1.0", rig: open, raw: strings.Replace(good, "HTTP/1.1", "HTTP/1.0", 1), want: 505, valid: true},
		{name: "HTTP/3.0", rig: open, raw: strings.Replace(good, "HTTP/1.1", "HTTP/3.0", 1), want: 505, valid: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := d.request(row.raw, false); (err == nil) != row.valid {
				t.Errorf("the request: %v", err)
			}
			a := row.rig.exchange(row.raw, http.MethodPost)
			if a.status != row.want {
				t.Fatalf("answered %d %s, want %d", a.status, a.body, row.want)
			}
			if err := d.answer(cmp.Or(row.pattern, wav), a); err != nil {
				t.Error(err)
			}
		})
	}
	unproduced := map[string]string{
		"503 too-many-connections": "takes 4096 connections: TestConnectionsBeyondTheLimitAreToldToComeAgain opens them",
	}
	for _, documented := range d.answers() {
		if _, excepted := unproduced[documented]; d.seen[documented] == excepted {
			t.Errorf("answer %s was seen: %t, and is excepted: %t", documented, !excepted, excepted)
		}
	}
}

// answers returns every documented answer, by status and the name of its example.
func (d *description) answers() []string {
	found := make(map[string]bool)
	for _, item := range d.doc.Paths.Map() {
		for status, response := range item.Post.Responses.Map() {
			for mediaType, content := range response.Value.Content {
				if len(content.Examples) == 0 {
					found[status+" without an example of "+mediaType] = true
				}
				for name := range content.Examples {
					found[status+" "+name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// What the document does not allow must not pass, or all that passes says nothing.
func TestDescriptionRefusesOtherAnswers(t *testing.T) {
	t.Parallel()
	d := describe(t)
	header := func(name, value string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}}
		h.Set(name, value)
		return h
	}
	plain := header("X-Content-Type-Options", "nosniff")
	const stored, late, wrong = `{"code":200,"msg":"success"}`, `{"code":503,"msg":"not stored: try again"}`, `{"code":405,"msg":"only POST is allowed here"}`
	for name, a := range map[string]answer{
		"undescribed status":   {418, plain, `{"code":418,"msg":"teapot"}`},
		"code of another":      {400, plain, stored},
		"no code":              {200, plain, `{"msg":"success"}`},
		"a member more":        {200, plain, `{"code":200,"msg":"success","data":null}`},
		"no JSON":              {200, plain, "success"},
		"another media type":   {200, header("Content-Type", "text/html"), stored},
		"no Allow":             {405, plain, wrong},
		"another Allow":        {405, header("Allow", "GET"), wrong},
		"no Retry-After":       {503, plain, late},
		"Retry-After no count": {503, header("Retry-After", "soon"), late},
		"undescribed header":   {200, header("Location", "/"), stored},
		"other words":          {200, plain, `{"code":200,"msg":"fine"}`},
	} {
		if err := d.answer("/callbacks/wav", a); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
	if err := d.answer("/callbacks/wav", answer{503, header("Retry-After", "5"), `{"code":503,"msg":"too many connections: try again"}`}); err != nil {
		t.Error(err)
	}
}
