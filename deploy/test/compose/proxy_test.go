package compose_test

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
)

// behindProxy fills a folder with the settings of this machine's Docker client, and a proxy that answers nobody.
// Containers then have it in their environment, as everywhere where the client is set up for a proxy.
func behindProxy(dir string) error {
	home, err := os.UserHomeDir()
	if err != nil {
		return fmt.Errorf("look for the client's settings: %w", err)
	}
	own := cmp.Or(os.Getenv("DOCKER_CONFIG"), filepath.Join(home, ".docker"))
	entries, err := os.ReadDir(own)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the client's settings: %w", err)
	}
	settings := make(map[string]any)
	for _, entry := range entries {
		path := filepath.Join(own, entry.Name())
		if entry.Name() != "config.json" { // plugins and contexts among them
			if err := os.Symlink(path, filepath.Join(dir, entry.Name())); err != nil {
				return fmt.Errorf("take over the client's settings: %w", err)
			}
			continue
		}
		raw, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(raw, &settings)
		}
		if err != nil {
			return fmt.Errorf("take over the client's settings: %w", err)
		}
	}
	const nobody = "http://127.0.0.1:9"
	settings["proxies"] = map[string]any{"default": map[string]string{"httpProxy": nobody, "httpsProxy": nobody}}
	raw, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("write the client's settings: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o600)
}
