package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// snippets returns the code blocks of a language in a Markdown file.
func snippets(t *testing.T, file, language string) (found []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	for _, match := range block.FindAllStringSubmatch(string(text), -1) {
		found = append(found, match[1])
	}
	return found
}

// packages are those that the README's Go code may use, by the names by which it does.
func packages() map[string]string {
	return map[string]string{
		"broker":    "fanfare/pkg/broker",
		"callback":  "fanfare/pkg/callback",
		"context":   "context",
		"jetstream": "github.com/nats-io/nats.go/jetstream",
		"ledger":    "fanfare/pkg/ledger",
		"log":       "log",
		"nats":      "github.com/nats-io/nats.go",
		"result":    "fanfare/pkg/result",
		"slog":      "log/slog",
		"subscribe": "fanfare/pkg/subscribe",
		"time":      "time",
	}
}

// inFunctions makes a Go file of snippets, each the body of a function that is given
// what a service has before it begins.
func inFunctions(snippets []string) string {
	var functions strings.Builder
	for i, snippet := range snippets {
		fmt.Fprintf(&functions, `
func _%d(ctx context.Context, logger *slog.Logger, service *subscribe.Subscriber, id callback.TaskID) (err error) {
	{
%s
	}
	return err
}
`, i, snippet)
	}
	var imports []string
	for name, path := range packages() {
		if regexp.MustCompile(`\b` + name + `\.`).MatchString(functions.String()) {
			imports = append(imports, fmt.Sprintf("%s %q", name, path))
		}
	}
	slices.Sort(imports)
	return "package readme\n\nimport (\n" + strings.Join(imports, "\n") + "\n)\n" + functions.String()
}

// compile compiles a Go file as one of this module, into which nothing is written.
func compile(t *testing.T, source string) error {
	t.Helper()
	dir := t.TempDir()
	module, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(module, "readme", "readme.go"): filepath.Join(dir, "readme.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"readme.go": source, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "./readme").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

func TestGoCodeOfTheReadmeCompiles(t *testing.T) {
	t.Parallel()
	code := snippets(t, "README.md", "go")
	if len(code) < 3 {
		t.Fatalf("only %d snippets found", len(code))
	}
	if err := compile(t, inFunctions(code)); err != nil {
		t.Errorf("%v\n%s", err, inFunctions(code))
	}
	if err := compile(t, inFunctions(append(code, "service.Subscribe(ctx)\n"))); err == nil || !strings.Contains(err.Error(), "service.Subscribe undefined") {
		t.Errorf("what calls a method that there is not: %v", err)
	}
}

// A service is shown in every language what makes a subscription of it: a durable on the
// callbacks' stream, and an ack.
func TestEveryLanguageOfTheReadmeSubscribesDurably(t *testing.T) {
	t.Parallel()
	for language, words := range map[string][]string{
		"go": {`"CALLBACKS"`, "Durable:", "AckExplicitPolicy", ".Ack()"},
		"python": {
			`"CALLBACKS"`, "durable=", "await msg.ack()",
			// As nats-py documents them.
			"await nats.connect(", "nkeys_seed_str=", "inbox_prefix=", "tls=ssl.create_default_context(", "nc.jetstream()", "await js.pull_subscribe(", "await subscription.fetch(", "except nats.errors.TimeoutError:",
		},
		"js": {
			`"CALLBACKS"`, "durable_name:", "AckPolicy.Explicit", "msg.ack()",
			// As nats.js documents them.
			`from "@nats-io/transport-node"`, `from "@nats-io/jetstream"`, "await jetstreamManager(nc, { checkAPI: false })", "manager.consumers.add(", "jetstream(nc).consumers.get(",
			"of await consumer.consume()", "msg.string()",
			"tls: { caFile:", "authenticator: nkeyAuthenticator(", "inboxPrefix:",
		},
	} {
		code := strings.Join(snippets(t, "README.md", language), "")
		for _, word := range words {
			if !strings.Contains(code, word) {
				t.Errorf("%s: no %s", language, word)
			}
		}
	}
}

// TestSecretsOfTheReadmeAreIgnored wants what the README's commands make here to go into no commit and no image.
func TestSecretsOfTheReadmeAreIgnored(t *testing.T) {
	t.Parallel()
	if said, err := exec.CommandContext(t.Context(), "git", "rev-parse").CombinedOutput(); err != nil {
		t.Skipf("nothing can be asked of Git here: %v %s", err, said)
	}
	docker, err := os.ReadFile("deploy/Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	file := regexp.MustCompile(`(?:_DIR=|(?:-(?:key|token|nkey|ca|cert)-file|compose cp|account|(?:cp -a|mv) \S+) (?:\./)?)([\w.-]+)(?:\s|$)`)
	made := make(map[string]bool)
	for _, block := range snippets(t, "README.md", "sh") {
		for _, match := range file.FindAllStringSubmatch(block, -1) {
			made[match[1]] = true
		}
	}
	if len(made) < 12 {
		t.Errorf("only %v", made)
	}
	for name := range made {
		if said, err := exec.CommandContext(t.Context(), "git", "check-ignore", name, name+"/").CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", name, err, said)
		}
		pattern := "/" + name
		if extension := filepath.Ext(name); extension == ".nk" || extension == ".pem" {
			pattern = "**/*" + extension
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(pattern) + `/?$`).Match(docker) {
			t.Errorf("deploy/Dockerfile.dockerignore has no %s", pattern)
		}
	}
}
