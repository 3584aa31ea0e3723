package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What SECURITY.md claims is proven where it says so: each file that it names is there,
// and each test.
func TestSecurityPointsAtWhatIsThere(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	files := regexp.MustCompile(`\]\(([^):#]+)\)`).FindAllStringSubmatch(string(raw), -1)
	names := regexp.MustCompile("`(Test[A-Z][A-Za-z]+)`").FindAllStringSubmatch(string(raw), -1)
	if len(files) < 20 || len(names) < 10 {
		t.Fatalf("only %d files and %d tests found", len(files), len(names))
	}
	for _, file := range files {
		if _, err := os.Stat(file[1]); err != nil {
			t.Error(err)
		}
	}
	tests := allTests(t)
	for _, name := range names {
		if !strings.Contains(tests, "\nfunc "+name[1]+"(") {
			t.Errorf("there is no %s", name[1])
		}
	}
}

// allTests is the code of all tests in one.
func allTests(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		all.Write(code)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
