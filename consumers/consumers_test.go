package consumers_test

import (
	"os"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"fanfare/consumers"
	"fanfare/pkg/callback"
)

// folders returns the names of the folders beside this file.
func folders(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() && entry.Name() != "testdata" {
			names = append(names, entry.Name())
		}
	}
	return names
}

// A type costs one folder, one schema and one line: whoever forgets one of them
// learns here which.
func TestListFoldersAndSchemasAgree(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	var listed, described []string
	for _, spec := range consumers.All() {
		listed = append(listed, string(spec.Type))
	}
	for _, typ := range contracts.Types() {
		described = append(described, string(typ))
	}
	if want := slices.Compact(slices.Sorted(slices.Values(listed))); !slices.Equal(listed, want) {
		t.Errorf("consumers.All() lists %v, want each once and in alphabetical order: %v", listed, want)
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(listed, described, folders(t))))) {
		if !slices.Contains(listed, name) {
			t.Errorf("type %s lacks its line in consumers.All()", name)
		}
		if !slices.Contains(described, name) {
			t.Errorf("type %s lacks its schema, schemas/%s.json with the annotation x-fanfare", name, name)
		}
		if !slices.Contains(folders(t), name) {
			t.Errorf("type %s lacks its folder, consumers/%s", name, name)
		}
	}
}

// A folder's spec must be for the folder's type, and its media its own.
func TestSpecsAreOfTheirFolders(t *testing.T) {
	t.Parallel()
	for _, spec := range consumers.All() {
		if spec.Media == nil {
			t.Errorf("the spec of %s does not say which media there are", spec.Type)
			continue
		}
		function := runtime.FuncForPC(reflect.ValueOf(spec.Media).Pointer()).Name()
		if folder, _, _ := strings.Cut(path.Base(function), "."); folder != string(spec.Type) || !strings.HasPrefix(function, "fanfare/consumers/") {
			t.Errorf("the spec of %s finds its media by %s", spec.Type, function)
		}
	}
}
