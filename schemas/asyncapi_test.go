package schemas_test

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fanfare/pkg/callback"
	"fanfare/schemas"
)

// objects says which members the objects of AsyncAPI 3.0 may have, as far as the
// document has such objects; those that are required come first, up to the bar.
func objects() map[string]string {
	return map[string]string{
		"document":       "asyncapi info | id servers defaultContentType channels operations components",
		"info":           "title version | description termsOfService contact license tags externalDocs",
		"server":         "host protocol | protocolVersion pathname description title summary variables security tags externalDocs bindings",
		"channel":        " | address messages title summary description servers parameters tags externalDocs bindings",
		"parameter":      " | enum default description examples location",
		"operation":      "action channel | title summary description security tags externalDocs bindings traits messages reply",
		"message":        " | headers payload correlationId contentType name title summary description tags externalDocs bindings examples traits",
		"example":        " | headers payload name summary",
		"tag":            "name | description externalDocs",
		"correlation ID": "location | description",
		"components": " | schemas servers channels operations messages securitySchemes serverVariables parameters correlationIds replies " +
			"replyAddresses externalDocs tags operationTraits messageTraits serverBindings channelBindings operationBindings messageBindings",
	}
}

// isObject checks that an object has the members that its kind must have, and none
// that it may not have but extensions.
func isObject(t *testing.T, kind, where string, value any) object {
	t.Helper()
	required, optional, _ := strings.Cut(objects()[kind], "|")
	must := strings.Fields(required)
	may := append(strings.Fields(optional), must...)
	found := deref(t, value)
	for _, name := range must {
		if found[name] == nil {
			t.Errorf("%s: a %s without %s", where, kind, name)
		}
	}
	for name := range found {
		if !slices.Contains(may, name) && !strings.HasPrefix(name, "x-") {
			t.Errorf("%s: a %s has no %s", where, kind, name)
		}
	}
	return found
}

// each calls check for each member of a map of objects, whose name must be one that
// AsyncAPI allows.
func each(t *testing.T, of object, name string, check func(where string, value any)) {
	t.Helper()
	usable := regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	for key, value := range members(of, name) {
		if !usable.MatchString(key) {
			t.Errorf("%s: the name %q", name, key)
		}
		check(name+"/"+key, value)
	}
}

func TestTheDocumentIsAsyncAPI(t *testing.T) {
	t.Parallel()
	root := isObject(t, "document", "the document", embedded(t, documentName))
	if text(root, "asyncapi") != "3.0.0" {
		t.Errorf("asyncapi: %v", root["asyncapi"])
	}
	isObject(t, "info", "info", root["info"])
	each(t, root, "servers", func(where string, value any) { isObject(t, "server", where, value) })
	each(t, root, "channels", func(where string, value any) { isChannel(t, where, value) })
	each(t, root, "operations", func(where string, value any) { isOperation(t, root, where, value) })

	components := isObject(t, "components", "components", root["components"])
	each(t, components, "parameters", func(where string, value any) { isObject(t, "parameter", where, value) })
	each(t, components, "tags", func(where string, value any) { isObject(t, "tag", where, value) })
	each(t, components, "correlationIds", func(where string, value any) { isObject(t, "correlation ID", where, value) })
	each(t, components, "messages", func(where string, value any) {
		if m := isMessage(t, where, value); "messages/"+text(m, "name") != where {
			t.Errorf("%s has the name %s", where, text(m, "name"))
		}
	})
	compiler := newCompiler(t)
	each(t, components, "schemas", func(where string, _ any) {
		if _, err := compiler.Compile("embed:///" + documentName + "#/components/" + where); err != nil {
			t.Error(err)
		}
	})
}

// isChannel checks that a channel describes each parameter of its address and no
// other, and names its messages by reference.
func isChannel(t *testing.T, where string, value any) {
	t.Helper()
	c := isObject(t, "channel", where, value)
	var used []string
	for _, found := range regexp.MustCompile(`\{([^}]*)\}`).FindAllStringSubmatch(text(c, "address"), -1) {
		used = append(used, found[1])
	}
	if described := slices.Sorted(maps.Keys(members(c, "parameters"))); !slices.Equal(described, slices.Sorted(slices.Values(used))) {
		t.Errorf("%s: described are the parameters %v, the address has %v", where, described, used)
	}
	each(t, c, "parameters", func(of string, value any) { isObject(t, "parameter", where+" "+of, value) })
	each(t, c, "messages", func(of string, value any) { isMessage(t, where+" "+of, value) })
	if text(c, "description") == "" || len(members(c, "messages")) == 0 {
		t.Errorf("%s: no description, or no message", where)
	}
}

func isMessage(t *testing.T, where string, value any) object {
	t.Helper()
	m := isObject(t, "message", where, value)
	if m["headers"] != nil && text(deref(t, m["headers"]), "type") != "object" {
		t.Errorf("%s: headers are no object", where)
	}
	if m["correlationId"] != nil {
		isObject(t, "correlation ID", where, m["correlationId"])
	}
	examples, _ := m["examples"].([]any)
	for i, e := range examples {
		if shown := isObject(t, "example", fmt.Sprintf("%s example %d", where, i), e); shown["payload"] == nil && shown["headers"] == nil {
			t.Errorf("%s: example %d is empty", where, i)
		}
	}
	return m
}

// isOperation checks that an operation is of a channel, and of one of fanfare's roles.
func isOperation(t *testing.T, root object, where string, value any) {
	t.Helper()
	o := isObject(t, "operation", where, value)
	if action := text(o, "action"); action != "send" && action != "receive" {
		t.Errorf("%s: action %q", where, action)
	}
	name, ok := strings.CutPrefix(text(o["channel"].(object), "$ref"), "#/channels/")
	if !ok || members(root, "channels")[name] == nil {
		t.Errorf("%s is of no channel", where)
	}
	tags, _ := o["tags"].([]any)
	if len(tags) != 1 {
		t.Fatalf("%s has %d tags, want that of who does it", where, len(tags))
	}
	isObject(t, "tag", where, tags[0])
}

func TestEveryChannelIsWrittenAndRead(t *testing.T) {
	t.Parallel()
	root := embedded(t, documentName).(object)
	done := make(map[string]bool)
	roles := make(map[string]bool)
	for _, value := range members(root, "operations") {
		o := value.(object)
		done[text(o, "action")+" "+text(o["channel"].(object), "$ref")] = true
		roles[text(deref(t, o["tags"].([]any)[0]), "name")] = true
	}
	for name := range members(root, "channels") {
		for _, action := range []string{"send", "receive"} {
			if !done[action+" #/channels/"+name] {
				t.Errorf("nobody's operation is to %s on %s", action, name)
			}
		}
	}
	for name := range members(members(root, "components"), "tags") {
		if !roles[name] {
			t.Errorf("no operation is the %s's", name)
		}
	}
}

// references calls found for every reference in a value.
func references(value any, found func(string)) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			references(element, found)
		}
	case object:
		for name, member := range value {
			if ref, ok := member.(string); ok && (name == "$ref" || name == "externalValue") {
				found(ref)
				continue
			}
			references(member, found)
		}
	}
}

// Every reference in any published file is to something in a published file.
func TestEveryReferenceResolves(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	err := fs.WalkDir(schemas.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		references(embedded(t, name), func(ref string) {
			if resolve(t, name, ref) == nil {
				t.Errorf("%s: %s refers to nothing", name, ref)
			}
			if name == documentName {
				used[ref] = true
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	components := members(embedded(t, documentName).(object), "components")
	for kind := range components {
		for name := range members(components, kind) {
			if !used["#/components/"+kind+"/"+name] {
				t.Errorf("nothing refers to %s/%s", kind, name)
			}
		}
	}
}

// A type is described by its own schema wherever callbacks are, with all its examples.
func TestEveryTypeIsDescribed(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	root := embedded(t, documentName).(object)
	parameters := members(members(root, "components"), "parameters")
	for name, want := range map[string]string{"type": fmt.Sprint(sorted(contracts.Types())), "stage": fmt.Sprint(sorted(callback.Stages()))} {
		listed, _ := parameters[name].(object)["enum"].([]any)
		words := make([]string, len(listed))
		for i, word := range listed {
			words[i] = word.(string)
		}
		if got := fmt.Sprint(sorted(words)); got != want {
			t.Errorf("the parameter %s is one of %s, want %s", name, got, want)
		}
	}
	for _, channelName := range []string{"callbacks", "redeliveries", "deadLetters"} {
		described := members(members(root, "channels"), channelName)
		for typ := range contracts {
			m := deref(t, members(described, "messages")[string(typ)])
			if ref := text(members(m, "payload"), "$ref"); ref != string(typ)+".json" {
				t.Errorf("%s: %s is described by %q", channelName, typ, ref)
			}
		}
	}
	shown := make(map[string]bool)
	references(root, func(ref string) { shown[strings.TrimPrefix(ref, "examples/")] = true })
	for name := range examples(t) {
		if !shown[name] {
			t.Errorf("%s: the example %s is not shown", path.Dir(name), name)
		}
	}
}

func sorted[T ~string](words []T) []T { return slices.Sorted(slices.Values(words)) }
