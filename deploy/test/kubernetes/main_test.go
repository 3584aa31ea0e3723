package kubernetes_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Where things are, seen from here.
const (
	root   = "../../.."
	deploy = "../.."
	module = ".."
)

// programs are what the tests run. Each is built once, by the first test that asks
// for it.
type programs struct{ fanfare, natsServer func() (string, error) }

var built programs //nolint:gochecknoglobals // TestMain has no other way to hand it on

func TestMain(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // a TestMain does
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fanfare-kubernetes-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built = programs{build(dir, "fanfare", "."), build(dir, "nats-server", "github.com/nats-io/nats-server/v2")}
	return m.Run()
}

// build returns what builds a program of fanfare's own module, and says where it is.
func build(dir, name, pkg string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, name)
		command := exec.Command("go", "build", "-o", path, pkg) //nolint:noctx // it is to outlive the test that asks first
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s cannot be built: %w\n%s", name, err, out)
		}
		return path, nil
	})
}

// program returns the path of a program that was built.
func program(tb testing.TB, built func() (string, error)) string {
	tb.Helper()
	path, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}
