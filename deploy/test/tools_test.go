package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fanfare/deploy/test/programs"
)

// Where things are, seen from here.
const (
	root  = "../.."
	rules = "../prometheus/rules/*.yml"
)

// tags leave out every way to find targets but DNS, which our configuration uses:
// the libraries of all the clouds would take longer to build than all the rest.
const tags = "remove_all_sd,enable_dns_sd"

// tools are the programs that the tests run.
type tools struct {
	promtool, prometheus, fanfare, nats, natsServer programs.Program
}

func newTools(dir string) tools {
	return tools{
		promtool:   programs.New(dir, "promtool", ".", "-tags", tags, "github.com/prometheus/prometheus/cmd/promtool"),
		prometheus: programs.New(dir, "prometheus", ".", "-tags", tags, "github.com/prometheus/prometheus/cmd/prometheus"),
		fanfare:    programs.New(dir, "fanfare", root, "."),
		nats:       programs.New(dir, "nats", root, "-modfile=.ci/nats/go.mod", "github.com/nats-io/natscli/nats"),
		natsServer: programs.New(dir, "nats-server", root, "github.com/nats-io/nats-server/v2"),
	}
}

var built tools //nolint:gochecknoglobals // TestMain has no other way to hand it on

func TestMain(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // a TestMain does
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fanfare-deploy-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built = newTools(dir)
	return m.Run()
}

// promtool runs promtool in the folder of Prometheus's configuration, and wants it
// to be content.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), built.promtool(t), args...)
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
