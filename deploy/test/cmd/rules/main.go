// Command rules writes Prometheus's rules as objects of its operator into
// deploy/kubernetes. It is run in the folder of its module.
package main

import (
	"fmt"
	"os"

	"fanfare/deploy/test/kubernetes"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is a main
	}
}

func write() error {
	files, err := kubernetes.Rules(".")
	if err != nil {
		return err
	}
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // whoever applies them may be another user
			return fmt.Errorf("write rules: %w", err)
		}
	}
	return nil
}
