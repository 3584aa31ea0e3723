package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Where things are, seen from here.
const (
	root  = "../.."
	rules = "../prometheus/rules/*.yml"
)

// tags leave out every way to find targets but DNS, which our configuration uses:
// the libraries of all the clouds would take longer to build than all the rest.
const tags = "remove_all_sd,enable_dns_sd"

// tools builds what the tests run. Each program is built once, by the first test
// that asks for it.
type tools struct {
	dir string

	promtool, prometheus, fanfare, nats, natsServer func() (string, error)
}

func newTools(dir string) *tools {
	t := &tools{dir: dir}
	t.promtool = t.built("promtool", ".", "-tags", tags, "github.com/prometheus/prometheus/cmd/promtool")
	t.prometheus = t.built("prometheus", ".", "-tags", tags, "github.com/prometheus/prometheus/cmd/prometheus")
	t.fanfare = t.built("fanfare", root, ".")
	t.nats = t.built("nats", root, "-modfile=.ci/nats/go.mod", "github.com/nats-io/natscli/nats")
	t.natsServer = t.built("nats-server", root, "github.com/nats-io/nats-server/v2")
	return t
}

// built returns what builds a program in a module's folder, and says where it is.
func (t *tools) built(name, module string, args ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(t.dir, name)
		build := exec.Command("go", append([]string{"build", "-o", path}, args...)...) //nolint:noctx // it is to outlive the test that asks first
		build.Dir = module
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s cannot be built: %w\n%s", name, err, out)
		}
		return path, nil
	})
}

// programs is shared by all tests, for a build takes longer than they do.
var programs *tools //nolint:gochecknoglobals // TestMain has no other way to hand it on

func TestMain(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // a TestMain does
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fanfare-deploy-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs = newTools(dir)
	return m.Run()
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

// promtool runs promtool in the folder of Prometheus's configuration, and wants it
// to be content.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program(t, programs.promtool), args...)
	command.Dir = "../prometheus"
	out, err := command.CombinedOutput()
	if err != nil || strings.Contains(string(out), "FAILED") {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// files returns the files of a pattern, of which there must be some.
func files(tb testing.TB, pattern string) []string {
	tb.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		tb.Fatalf("%s: no files (%v)", pattern, err)
	}
	return found
}
