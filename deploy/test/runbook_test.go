package deploy_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestCommandsOfTheRunbookExist asks fanfare for help about every command that the
// runbook tells to run. Words in capitals stand for what the reader puts there.
func TestCommandsOfTheRunbookExist(t *testing.T) {
	t.Parallel()
	fanfare, asked := built.fanfare(t), make(map[string]string)
	commands := regexp.MustCompile("(?m)(?:^|`)fanfare ([a-z][^`#\n]*)").FindAllStringSubmatch(string(read(t, "../runbook.md")), -1)
	if len(commands) < 10 {
		t.Fatalf("only %d commands found in the runbook", len(commands))
	}
	for _, command := range commands {
		name, flags := split(command[1])
		help, known := asked[name]
		if !known {
			out, err := exec.CommandContext(t.Context(), fanfare, append(strings.Fields(name), "--help")...).CombinedOutput()
			if err != nil {
				t.Errorf("fanfare %s: %v\n%s", name, err, out)
			}
			help = string(out)
			asked[name] = help
		}
		if !strings.Contains(help, "Usage: fanfare "+name+" ") {
			t.Errorf("there is no fanfare %s", name)
		}
		for _, flag := range flags {
			if !regexp.MustCompile(flag + `[=\s]`).MatchString(help) {
				t.Errorf("fanfare %s has no %s", name, flag)
			}
		}
	}
}

// TestServicesOfTheRunbookExist looks up in docker-compose.yml whom the runbook's commands
// for Compose name.
func TestServicesOfTheRunbookExist(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]any `yaml:"services"`
	}
	if err := yaml.Unmarshal(read(t, root+"/docker-compose.yml"), &compose); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`docker compose (?:exec|run --rm|logs|restart|cp|up [a-z -]*--force-recreate) ([a-z0-9-]+)`).
		FindAllStringSubmatch(string(read(t, "../runbook.md")), -1)
	if len(named) < 5 {
		t.Fatalf("only %d services are named", len(named))
	}
	for _, command := range named {
		if compose.Services[command[1]] == nil {
			t.Errorf("%s: there is no such service", command[0])
		}
	}
}

// split parts a command line into the command's name and the flags that it is given.
func split(line string) (name string, flags []string) {
	var words []string
	named := false
	for word := range strings.FieldsSeq(line) {
		named = named || !regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(word)
		switch {
		case strings.HasPrefix(word, "--"):
			flags = append(flags, word)
		case !named:
			words = append(words, word)
		}
	}
	return strings.Join(words, " "), flags
}
