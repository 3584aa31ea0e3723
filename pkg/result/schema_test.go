package result_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
	"fanfare/schemas"
)

// rawSchema is schemas/result.json as it stands.
func rawSchema(tb testing.TB) any {
	tb.Helper()
	file, err := schemas.Files.Open("result.json")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// publishedSchema is schemas/result.json, compiled with its formats asserted.
func publishedSchema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("embed:///result.json", rawSchema(tb)); err != nil {
		tb.Fatal(err)
	}
	schema, err := compiler.Compile("embed:///result.json")
	if err != nil {
		tb.Fatal(err)
	}
	return schema
}

// checkPublished checks that a document is as the published schema says.
func checkPublished(t *testing.T, schema *jsonschema.Schema, doc result.Document) {
	t.Helper()
	encoded := encode(t, doc)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%v\n%s", err, encoded)
	}
}

func TestEveryKindOfDocumentIsAsPublished(t *testing.T) {
	t.Parallel()
	schema := publishedSchema(t)
	for name, doc := range everyKind(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkPublished(t, schema, doc)
		})
	}
}

func TestThePublishedSchemaRefuses(t *testing.T) {
	t.Parallel()
	schema := publishedSchema(t)
	for name, spoil := range map[string]func(map[string]any){
		"an unknown member":          func(d map[string]any) { d["status"] = "done" },
		"no type":                    func(d map[string]any) { delete(d, "type") },
		"no media":                   func(d map[string]any) { delete(d, "media") },
		"no files, yet safe":         func(d map[string]any) { d["media"] = []any{} },
		"an outcome of its own":      func(d map[string]any) { d["outcome"] = "done" },
		"failed without a failure":   func(d map[string]any) { d["outcome"] = "failed" },
		"a time without zone":        func(d map[string]any) { d["times"] = map[string]any{"started": "2026-03-01T12:00:00"} },
		"the stage other":            func(d map[string]any) { d["stage"] = "other" },
		"an archive without a time":  func(d map[string]any) { d["times"].(map[string]any)["archived"] = nil },
		"a conflict that is none":    func(d map[string]any) { d["conflicts"] = []any{} },
		"a code beyond 32 bits":      func(d map[string]any) { d["code"] = 2147483648 },
		"a file without a hash":      func(d map[string]any) { delete(d["media"].([]any)[0].(map[string]any), "sha256") },
		"a file name that is a path": func(d map[string]any) { d["media"].([]any)[0].(map[string]any)["name"] = "a/b" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var doc map[string]any
			if err := json.Unmarshal([]byte(encode(t, settled(completeDoc(), 9, allNames(completeDoc())...))), &doc); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Fatal(err)
			}
			spoil(doc)
			if err := schema.Validate(doc); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestTheSchemaNamesTheClosedSets(t *testing.T) {
	t.Parallel()
	reasons := make([]string, 0, len(result.Reasons()))
	for _, reason := range result.Reasons() {
		reasons = append(reasons, string(reason))
	}
	if declared := constants(t, "Reason"); !equalSets(declared, reasons) {
		t.Errorf("Reasons() = %v, the constants are %v", reasons, declared)
	}
	var stages []string
	for _, stage := range callback.Stages() {
		if stage != callback.Other { // changes no result
			stages = append(stages, string(stage))
		}
	}
	for place, want := range map[string][]string{
		"$defs.outcome":                   constants(t, "Outcome"),
		"properties.archive":              constants(t, "Archive"),
		"$defs.failure.properties.reason": reasons,
		"$defs.stage":                     stages,
	} {
		if got := enum(t, place); !equalSets(got, want) {
			t.Errorf("%s: enum %v, want %v", place, got, want)
		}
	}
}

// constants returns the values of the package's constants of that type.
func constants(t *testing.T, typeName string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "outcome.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		ident, ok := spec.Type.(*ast.Ident)
		literal, isLiteral := spec.Values[0].(*ast.BasicLit)
		if ok && isLiteral && ident.Name == typeName {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	if len(values) == 0 {
		t.Fatalf("outcome.go has no constants of type %s", typeName)
	}
	return values
}

// at is the part of the published schema at a place like "$defs.stage".
func at(t *testing.T, place string) map[string]any {
	t.Helper()
	node := rawSchema(t)
	for step := range strings.SplitSeq(place, ".") {
		object, ok := node.(map[string]any)
		if !ok {
			t.Fatalf("schemas/result.json has nothing at %s", place)
		}
		node = object[step]
	}
	object, ok := node.(map[string]any)
	if !ok {
		t.Fatalf("schemas/result.json has nothing at %s", place)
	}
	return object
}

func enum(t *testing.T, place string) []string {
	t.Helper()
	items, _ := at(t, place)["enum"].([]any)
	var values []string
	for _, item := range items {
		value, _ := item.(string)
		values = append(values, value)
	}
	return values
}

func equalSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Every member of the Go types is published, and none besides.
func TestTheSchemaNamesEveryMember(t *testing.T) {
	t.Parallel()
	for place, typ := range map[string]reflect.Type{
		"properties":                reflect.TypeFor[result.Document](),
		"$defs.failure.properties":  reflect.TypeFor[result.Failure](),
		"$defs.file.properties":     reflect.TypeFor[result.Media](),
		"$defs.times.properties":    reflect.TypeFor[result.Times](),
		"$defs.conflict.properties": reflect.TypeFor[result.Conflict](),
	} {
		published := at(t, place)
		var names []string
		for field := range typ.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			names = append(names, name)
		}
		var known []string
		for name, member := range published {
			known = append(known, name)
			if object, _ := member.(map[string]any); object["description"] == nil && object["$ref"] == nil {
				t.Errorf("%s.%s has no description", place, name)
			}
		}
		if !equalSets(known, names) {
			t.Errorf("%s: published %v, encoded %v", place, known, names)
		}
	}
	if _, annotated := rawSchema(t).(map[string]any)["x-fanfare"]; annotated {
		t.Error("result.json carries the annotation of a callback type")
	}
}
