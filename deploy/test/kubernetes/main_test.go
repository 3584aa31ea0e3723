package kubernetes_test

import (
	"os"
	"testing"

	"fanfare/deploy/test/programs"
)

// Where things are, seen from here.
const (
	root   = "../../.."
	deploy = "../.."
	module = ".."
)

// tools are the programs that the tests run.
type tools struct{ fanfare, natsServer programs.Program }

var built tools //nolint:gochecknoglobals // TestMain has no other way to hand it on

func TestMain(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // a TestMain does
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fanfare-kubernetes-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built = tools{
		fanfare:    programs.New(dir, "fanfare", root, "."),
		natsServer: programs.New(dir, "nats-server", root, "github.com/nats-io/nats-server/v2"),
	}
	return m.Run()
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}
