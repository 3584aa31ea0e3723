// Package kubernetes holds deploy/kubernetes against what a cluster would make of it:
// the API's own types and rules, and fanfare's and NATS's own programs. It also makes
// what Kustomize cannot.
package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Where things are, seen from the module's folder.
const (
	rulesFolder      = "../prometheus/rules"
	monitoringFolder = "../kubernetes/components/monitoring"
)

// Rules returns a PrometheusRule for each of Prometheus's files of rules, by the path of
// its own file. Module is the path of the module's folder. Kustomize cannot put a file
// into an object, so the files are made here; the text is taken over as it stands.
func Rules(module string) (map[string][]byte, error) {
	sources, err := filepath.Glob(filepath.Join(module, rulesFolder, "*.yml"))
	if err != nil {
		return nil, fmt.Errorf("find the rules: %w", err)
	}
	files := make(map[string][]byte)
	for _, source := range sources {
		text, err := os.ReadFile(source) //nolint:gosec // a file of this repository
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		name := strings.TrimSuffix(filepath.Base(source), ".yml")
		files[filepath.Join(module, monitoringFolder, "rules-"+name+".yaml")] = rule(name, string(text))
	}
	return files, nil
}

func rule(name, text string) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "# Made of deploy/prometheus/rules/%s.yml, in deploy/test: go run ./cmd/rules\n", name)
	fmt.Fprintf(&out, "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: fanfare-%s\nspec:\n", name)
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			out.WriteString("  ")
		}
		out.WriteString(line)
	}
	return []byte(out.String())
}
