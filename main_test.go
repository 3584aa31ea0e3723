package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// parse parses a command line as main would, without running anything.
func parse(t *testing.T, args []string) error {
	t.Helper()
	var c commands
	k, err := parser(&c)
	if err != nil {
		t.Fatal(err)
	}
	k.Exit = func(int) { t.Errorf("%q ends the program", args) }
	k.Stdout, k.Stderr = io.Discard, io.Discard
	_, err = k.Parse(args)
	return err
}

// commandLines returns what follows one of the given words at the beginning of
// the file's code lines.
func commandLines(t *testing.T, file string, words ...string) [][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found [][]string
	code := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		for _, word := range words {
			if rest, ok := strings.CutPrefix(line, word+" "); ok && code {
				found = append(found, strings.Fields(rest))
			}
		}
	}
	return found
}

func TestCommandLinesOfTheReadmeParse(t *testing.T) {
	t.Parallel()
	lines := commandLines(t, "README.md", "go run .", "fanfare")
	if len(lines) < 10 {
		t.Fatalf("only %d command lines found", len(lines))
	}
	for _, args := range lines {
		if err := parse(t, args); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestCommandLinesOfComposeParse(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int{"docker-compose.yml": 10, "deploy/compose.single.yml": 2} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Services map[string]struct {
				Image               string
				Entrypoint, Command []string
			}
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		checked := 0
		for name, service := range file.Services {
			if service.Image != "fanfare" {
				continue
			}
			checked++
			line := slices.Concat(service.Entrypoint, service.Command)
			if len(service.Entrypoint) > 0 {
				line = line[1:] // the program itself
			}
			if err := parse(t, line); err != nil {
				t.Errorf("%s: %s: %q: %v", path, name, line, err)
			}
		}
		if checked < want {
			t.Errorf("%s: only %d services of ours found", path, checked)
		}
	}
}

func TestReadmeNamesEveryCommand(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var c commands
	k, err := parser(&c)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range k.Model.Children {
		if !strings.Contains(string(text), "| `"+command.Name) {
			t.Errorf("the table of commands lacks %s", command.Name)
		}
	}
}

func TestMistakesAreErrors(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"", "serve", "consumer", "gateway --listn x", "standalone extra", "provision --replicas many"} {
		if err := parse(t, strings.Fields(line)); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
