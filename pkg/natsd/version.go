package natsd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dirVersion is that of the data directory's layout: where the store and what is
// recorded beside it lie, and what that means. The store's own format is the NATS
// server's affair, which refuses what it does not know.
const dirVersion = 1

// versionFile states the layout's version. A directory without it has the first.
const versionFile = "version"

// checkVersion refuses a directory of a newer layout, and states the layout of one
// that does not.
func checkVersion(dir string) error {
	path := filepath.Join(dir, versionFile)
	raw, err := os.ReadFile(path) //nolint:gosec // inside the data directory
	stated := strings.TrimSpace(string(raw))
	if errors.Is(err, fs.ErrNotExist) || err == nil && stated == "" { // an end amid the first start leaves it empty
		if err := os.WriteFile(path, []byte(strconv.Itoa(dirVersion)+"\n"), 0o600); err != nil {
			return fmt.Errorf("natsd: record the data directory's version: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("natsd: read the data directory's version: %w", err)
	}
	version, err := strconv.Atoi(stated)
	switch {
	case err != nil || version < 1:
		return fmt.Errorf("natsd: %s does not hold a version: put %d in, or remove the file", path, dirVersion)
	case version > dirVersion:
		return fmt.Errorf("%w: %s says version %d, this one knows %d", ErrNewer, path, version, dirVersion)
	}
	return nil
}
