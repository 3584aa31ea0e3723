package callback_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"fanfare/pkg/callback"
	"fanfare/schemas"
)

func TestParseType(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, in string
		ok       bool
	}{
		{"a word", "music", true},
		{"one letter", "a", true},
		{"digits", "mp4", true},
		{"an inner hyphen", "vocal-separation", true},
		{"32 characters", strings.Repeat("a", 32), true},
		{"33 characters", strings.Repeat("a", 33), false},
		{"nothing", "", false},
		{"a hyphen", "-", false},
		{"a hyphen first", "-music", false},
		{"a hyphen last", "music-", false},
		{"a capital", "Music", false},
		{"an underscore", "vocal_separation", false},
		{"a full stop", "music.complete", false},
		{"a slash", "music/x", false},
		{"a wildcard", "*", false},
		{"white space", "music ", false},
		{"a letter beyond ASCII", "musiké", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := callback.ParseType(row.in)
			if (err == nil) != row.ok || row.ok && string(got) != row.in {
				t.Errorf("ParseType(%q) = %q, %v; want it accepted: %t", row.in, got, err, row.ok)
			}
		})
	}
}

// A type is a schema with an annotation; the list stands nowhere else.
func TestTypesAreTheAnnotatedSchemas(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(schemas.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	var annotated []callback.Type
	for _, name := range names {
		raw, err := schemas.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]jsontext.Value
		if err := json.Unmarshal(raw, &members); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, ok := members["x-fanfare"]; ok {
			annotated = append(annotated, callback.Type(strings.TrimSuffix(name, ".json")))
		}
	}
	slices.Sort(annotated)
	types := contracts(t).Types()
	if !slices.Equal(types, annotated) {
		t.Errorf("Types() = %v, the annotated schemas are %v", types, annotated)
	}
	for _, typ := range types {
		if _, err := callback.ParseType(string(typ)); err != nil {
			t.Error(err)
		}
	}
}

func TestFactsOfTypes(t *testing.T) {
	t.Parallel()
	single := []callback.Stage{callback.Complete, callback.Error}
	facts := map[callback.Type]struct {
		successes []int32
		stages    []callback.Stage
	}{
		"cover": {[]int32{200}, single},
		"music": {[]int32{200}, callback.Stages()},
		"video": {[]int32{0, 200}, single},
		"wav":   {[]int32{200}, single},
	}
	for typ, c := range contracts(t) {
		want := facts[typ]
		if c.Type != typ || !slices.Equal(c.Stages(), want.stages) {
			t.Errorf("%s: contract of %s with stages %v, want %v", typ, c.Type, c.Stages(), want.stages)
		}
		for code := int32(-1); code < 600; code++ {
			if got := c.Succeeded(code); got != slices.Contains(want.successes, code) {
				t.Errorf("%s: Succeeded(%d) = %t", typ, code, got)
			}
		}
	}
}
