// Package programs builds the programs that tests run, and keeps what they say.
//
// A program is built once, by the first test that asks for it. Where that fails, every
// test that asks is told why.
package programs

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Program returns the path of a program.
type Program func(testing.TB) string

// New returns a program that is built into dir, from the folder of its module, by
// what go build is given.
func New(dir, name, module string, args ...string) Program {
	built := sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, name)
		build := exec.Command("go", append([]string{"build", "-o", path}, args...)...) //nolint:noctx,gosec // it is to outlive the test that asks first, and only tests say what
		build.Dir = module
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s cannot be built: %w\n%s", name, err, out)
		}
		return path, nil
	})
	return func(tb testing.TB) string {
		tb.Helper()
		path, err := built()
		if err != nil {
			tb.Fatal(err)
		}
		return path
	}
}

// Output keeps what a program says, also while it is read.
type Output struct {
	mu   sync.Mutex
	said bytes.Buffer
}

// Write implements [io.Writer].
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.Write(b)
}

// String returns all of it.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

// Tail returns the last of it.
func (o *Output) Tail() string { return Tail(o.String()) }

// Tail returns the last of a text.
func Tail(text string) string {
	const enough = 3000
	return text[max(0, len(text)-enough):]
}
