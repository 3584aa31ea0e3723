// Command dashboards writes Grafana's dashboards into deploy/grafana/dashboards. It is
// run in the folder of its module.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"fanfare/deploy/test/dashboards"
)

const folder = "../grafana/dashboards"

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is a main
	}
}

func write() error {
	files, err := dashboards.All()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil { //nolint:gosec // Grafana reads them as another user
			return fmt.Errorf("write dashboard: %w", err)
		}
	}
	return nil
}
