package callback_test

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"fanfare/pkg/callback"
	"fanfare/schemas"
)

// examples returns the paths of the published examples, at least one.
func examples(tb testing.TB) []string {
	tb.Helper()
	names, err := fs.Glob(schemas.Files, "examples/*/*.json")
	if err != nil || len(names) == 0 {
		tb.Fatalf("no examples: %v", err)
	}
	return names
}

func example(tb testing.TB, name string) []byte {
	tb.Helper()
	body, err := schemas.Files.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// stageNamed is the stage that an example's name says: a word of its own, or
// unknown for other.
func stageNamed(name string) callback.Stage {
	for word := range strings.SplitSeq(strings.TrimSuffix(path.Base(name), ".json"), "-") {
		if stage := callback.Stage(word); slices.Contains(callback.Stages(), stage) {
			return stage
		}
		if word == "unknown" {
			return callback.Other
		}
	}
	return ""
}

func TestExamplesAreWhatTheirNamesSay(t *testing.T) {
	t.Parallel()
	all := contracts(t)
	for _, name := range examples(t) {
		t.Run(strings.TrimPrefix(name, "examples/"), func(t *testing.T) {
			t.Parallel()
			c := all[callback.Type(path.Base(path.Dir(name)))]
			if c == nil {
				t.Fatal("the folder is named after no type")
			}
			cb, err := c.Decode(example(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if want := stageNamed(name); cb.Stage != want || cb.Type != c.Type {
				t.Errorf("decoded as %s, want stage %q of type %s", cb.MessageID(), want, c.Type)
			}
		})
	}
}

func TestEveryStageHasAnExample(t *testing.T) {
	t.Parallel()
	for typ, c := range contracts(t) {
		shown := make(map[callback.Stage]bool)
		for _, name := range examples(t) {
			if path.Base(path.Dir(name)) == string(typ) {
				shown[stageNamed(name)] = true
			}
		}
		for _, stage := range c.Stages() {
			if !shown[stage] {
				t.Errorf("schemas/examples/%s shows no callback of stage %s", typ, stage)
			}
		}
	}
}
