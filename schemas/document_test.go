package schemas_test

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"fanfare/schemas"
)

const documentName = "asyncapi.yaml"

// object is an object of the document, or of a file that it refers to.
type object = map[string]any

// document is the AsyncAPI document with every reference that its own objects make
// resolved, and the schemas that its messages name compiled.
type document struct {
	channels map[string]*channel
	streams  map[string]object
}

type channel struct {
	name     string
	stream   string
	address  *regexp.Regexp
	messages map[string]*message
}

// message is what the document says of one kind of message.
type message struct {
	name        string
	contentType string
	headers     *jsonschema.Schema // nil: there are none
	payload     *jsonschema.Schema // nil: any bytes
	documented  map[string]bool    // header names
	examples    []example
}

type example struct {
	name    string
	headers object
	payload any
}

// embedded reads a published file as JSON would have it.
func embedded(tb testing.TB, name string) any {
	tb.Helper()
	raw, err := schemas.Files.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	if path.Ext(name) == ".yaml" {
		var value any
		if err = yaml.Unmarshal(raw, &value); err == nil {
			raw, err = json.Marshal(value) // so that numbers are JSON's
		}
	}
	var value any
	if err == nil {
		err = json.Unmarshal(raw, &value)
	}
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return value
}

// referred are the files that references were resolved in, each read for all of its
// hundreds.
var referred sync.Map //nolint:gochecknoglobals // of name to what embedded returns

// resolve returns what a reference in the file base refers to, which nobody changes.
func resolve(tb testing.TB, base, ref string) any {
	tb.Helper()
	file, pointer, _ := strings.Cut(ref, "#")
	name := cmp.Or(file, base)
	target, known := referred.Load(name)
	if !known {
		target, _ = referred.LoadOrStore(name, embedded(tb, name))
	}
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		inside, _ := target.(object)
		found, ok := inside[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
		if !ok {
			tb.Fatalf("%s: %s refers to nothing", base, ref)
		}
		target = found
	}
	return target
}

// deref follows references of the document itself until there is an object.
func deref(tb testing.TB, value any) object {
	tb.Helper()
	found, ok := value.(object)
	if ref, refers := found["$ref"].(string); refers {
		return deref(tb, resolve(tb, documentName, ref))
	}
	if !ok {
		tb.Fatalf("%v is no object", value)
	}
	return found
}

// members returns a member that is a map of objects, or is missing.
func members(of object, name string) object {
	found, _ := of[name].(object)
	return found
}

func text(of object, name string) string {
	found, _ := of[name].(string)
	return found
}

// checkInt32 is the format int32 as pkg/callback has it: an integer of 32 bits,
// however it is spelled.
func checkInt32(value any) error {
	if n, ok := value.(float64); ok && n != float64(int32(n)) {
		return errors.New("not an integer of 32 bits")
	}
	return nil
}

// checkURL is as much of the format media-url as a subscriber may rely on.
func checkURL(value any) error {
	if s, ok := value.(string); ok && s != "" && !regexp.MustCompile(`^https?://[^\s\\@/]+(/[^\s\\]*)?$`).MatchString(s) {
		return errors.New("not an absolute http or https URL")
	}
	return nil
}

// newCompiler knows every published file by its name.
func newCompiler(tb testing.TB) *jsonschema.Compiler {
	tb.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.RegisterFormat(&jsonschema.Format{Name: "media-url", Validate: checkURL})
	compiler.RegisterFormat(&jsonschema.Format{Name: "int32", Validate: checkInt32})
	compiler.AssertFormat()
	names, err := fs.Glob(schemas.Files, "*.json")
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range append(names, documentName) {
		if err := compiler.AddResource("embed:///"+name, embedded(tb, name)); err != nil {
			tb.Fatal(err)
		}
	}
	return compiler
}

// describe reads the document.
func describe(tb testing.TB) document {
	tb.Helper()
	root := embedded(tb, documentName).(object)
	d := document{channels: make(map[string]*channel), streams: make(map[string]object)}
	compiler := newCompiler(tb)
	for name, value := range members(root, "channels") {
		described := deref(tb, value)
		c := &channel{name: name, stream: text(described, "x-fanfare-stream"), messages: make(map[string]*message)}
		c.address = addressed(tb, described)
		for key, value := range members(described, "messages") {
			ref := text(value.(object), "$ref")
			c.messages[key] = newMessage(tb, compiler, ref, deref(tb, value))
		}
		d.channels[name] = c
	}
	for name, value := range members(root, "x-fanfare-streams") {
		d.streams[name] = value.(object)
	}
	return d
}

// addressed makes a pattern of a channel's address: a parameter is one token of a
// subject, one of its values where they are listed.
func addressed(tb testing.TB, described object) *regexp.Regexp {
	tb.Helper()
	pattern := regexp.QuoteMeta(text(described, "address"))
	for name, value := range members(described, "parameters") {
		one := `[A-Za-z0-9_=-]+`
		if listed, ok := deref(tb, value)["enum"].([]any); ok {
			words := make([]string, len(listed))
			for i, word := range listed {
				words[i] = regexp.QuoteMeta(word.(string))
			}
			one = "(" + strings.Join(words, "|") + ")"
		}
		pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("{"+name+"}"), one)
	}
	return regexp.MustCompile("^" + pattern + "$")
}

func newMessage(tb testing.TB, compiler *jsonschema.Compiler, ref string, described object) *message {
	tb.Helper()
	m := &message{name: text(described, "name"), contentType: text(described, "contentType"), documented: make(map[string]bool)}
	for part, schema := range map[string]**jsonschema.Schema{"headers": &m.headers, "payload": &m.payload} {
		if described[part] == nil {
			continue
		}
		compiled, err := compiler.Compile("embed:///" + documentName + ref + "/" + part)
		if err != nil {
			tb.Fatal(err)
		}
		*schema = compiled
	}
	if described["headers"] != nil {
		named(tb, described["headers"].(object), m.documented)
	}
	listed, _ := described["examples"].([]any)
	for _, value := range listed {
		e := value.(object)
		shown := example{name: text(e, "name"), headers: members(e, "headers"), payload: e["payload"]}
		if inside, ok := shown.payload.(object); ok && inside["$ref"] != nil {
			shown.payload = resolve(tb, documentName, text(inside, "$ref"))
		}
		m.examples = append(m.examples, shown)
	}
	return m
}

// named collects the names of the headers that a schema documents.
func named(tb testing.TB, schema object, into map[string]bool) {
	tb.Helper()
	if ref := text(schema, "$ref"); ref != "" {
		named(tb, deref(tb, schema), into)
	}
	for name := range members(schema, "properties") {
		into[name] = true
	}
	all, _ := schema["allOf"].([]any)
	for _, part := range all {
		named(tb, part.(object), into)
	}
}

// at finds the one channel of a subject.
func (d document) at(tb testing.TB, subject string) *channel {
	tb.Helper()
	var found []*channel
	for _, name := range slices.Sorted(maps.Keys(d.channels)) {
		if c := d.channels[name]; c.address.MatchString(subject) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		tb.Fatalf("%s is the address of %d channels", subject, len(found))
	}
	return found[0]
}
