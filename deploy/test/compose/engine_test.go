// Package compose_test tests the containers as users get them: the Dockerfile, compose.single.yml and
// docker-compose.yml, unchanged, with a real Docker engine.
//
// It needs the engine alone: a Compose that is missing or too old is built, and images that cannot be pulled are
// stood in for by stand-ins.sh. Each test has projects of its own, which end with it.
package compose_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"fanfare/deploy/test/programs"
)

// Bounds of what is waited for.
const (
	brief    = time.Minute      // a question to the engine
	patience = 5 * time.Minute  // containers to be up, or away
	building = 25 * time.Minute // Compose, stand-ins or the image, the first time
)

const root = "../../.."

// engine is what the tests run.
type engine struct {
	missing string   // why there is none, if there is none
	compose []string // the command
	images  []string // that are not fanfare's
	version string   // stamped into fanfare's
}

// docker is shared by all tests, for it takes longer to make than they take.
var docker engine //nolint:gochecknoglobals // TestMain has no other way to hand it on

func TestMain(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // a TestMain does
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fanfare-compose-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if docker, err = newEngine(dir); err != nil {
		panic(err)
	}
	return m.Run()
}

// newEngine readies the engine: Compose, the images that are not fanfare's, and fanfare's.
func newEngine(dir string) (engine, error) {
	if missing := noEngine(); missing != "" {
		return engine{missing: missing}, nil
	}
	version, err := command(brief, nil, "git", "-C", root, "describe", "--always", "--dirty")
	if err != nil {
		return engine{}, err
	}
	e := engine{version: strings.TrimSpace(version)}
	if e.compose, err = composeCommand(dir); err != nil {
		return e, err
	}
	if e.images, err = e.foreignImages(); err != nil {
		return e, err
	}
	out, err := command(building, nil, "./stand-ins.sh", e.images...)
	if err != nil {
		return e, err
	}
	if _, err := os.Stdout.WriteString(out); err != nil {
		return e, fmt.Errorf("say what stands in: %w", err)
	}
	_, err = e.run(building, []string{"VERSION=" + e.version}, "--file", root+"/docker-compose.yml", "build")
	return e, err
}

// noEngine returns why there is no engine, or "".
func noEngine() string {
	if _, err := command(brief, nil, "docker", "version"); err != nil {
		return "there is no Docker engine here: " + err.Error()
	}
	return ""
}

// run runs Compose.
func (e engine) run(limit time.Duration, env []string, args ...string) (string, error) {
	line := slices.Concat(e.compose, args)
	return command(limit, env, line[0], line[1:]...)
}

// foreignImages returns the images that the Dockerfile and docker-compose.yml name and do not make, Grafana's aside.
func (e engine) foreignImages() ([]string, error) {
	dockerfile, err := os.ReadFile(root + "/deploy/Dockerfile")
	if err != nil {
		return nil, fmt.Errorf("look for images: %w", err)
	}
	named, err := e.run(brief, nil, "--file", root+"/docker-compose.yml", "config", "--images")
	if err != nil {
		return nil, err
	}
	images := strings.Fields(named)
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllSubmatch(dockerfile, -1) {
		images = append(images, string(from[1]))
	}
	slices.Sort(images)
	return slices.DeleteFunc(slices.Compact(images), func(image string) bool { return image == "fanfare" || image == "scratch" }), nil
}

// image returns the image of a name.
func (e engine) image(t *testing.T, name string) string {
	t.Helper()
	i := slices.IndexFunc(e.images, func(image string) bool { return strings.HasPrefix(image, name+":") })
	if i < 0 {
		t.Fatalf("no image %s among %q", name, e.images)
	}
	return e.images[i]
}

// composeCommand returns the machine's Compose, if it is one of today's, or builds one.
func composeCommand(dir string) ([]string, error) {
	if version, err := command(brief, nil, "docker", "compose", "version", "--short"); err == nil && !strings.HasPrefix(version, "1.") {
		return []string{"docker", "compose"}, nil
	}
	path := filepath.Join(dir, "docker-compose")
	_, err := command(building, []string{"CGO_ENABLED=0"}, "go", "-C", root+"/.ci/compose", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/docker/compose/v2/cmd")
	return []string{path}, err
}

// command runs a program in this folder, and returns what it says on standard output. If it fails, that is told
// with the last of what it said on standard error.
func command(limit time.Duration, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr, c.WaitDelay = &stdout, &stderr, 10*time.Second
	if err := c.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, programs.Tail(stdout.String()), programs.Tail(stderr.String()))
	}
	return stdout.String(), nil
}

// needEngine skips a test where there is no engine, and says so.
func needEngine(t *testing.T) {
	t.Helper()
	if docker.missing != "" {
		t.Skip(docker.missing)
	}
}

// ask asks the engine something, and returns its answer.
func ask(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(brief, nil, "docker", args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// decode decodes an answer in JSON.
func decode(t *testing.T, answer string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(answer), into, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%v: %s", err, programs.Tail(answer))
	}
}
