package natsd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// storeFile remembers the store's size in the data directory, so that it does
// not shrink at each start as the store fills the disk.
const storeFile = "store-max-bytes"

// storeMaxBytes returns asked, or what was recorded at an earlier start, or half
// of what the disk has free, and records it.
func storeMaxBytes(dir string, asked int64) (int64, error) {
	if asked < 0 {
		return 0, fmt.Errorf("natsd: a store of %d bytes: want more than 0, or 0 for the default", asked)
	}
	path := filepath.Join(dir, storeFile)
	recorded, err := readStoreFile(path)
	if err != nil {
		return 0, err
	}
	if recorded != 0 && (asked == 0 || asked == recorded) {
		return recorded, nil
	}
	free, err := freeBytes(dir)
	if err != nil {
		return 0, err
	}
	size := asked
	if size == 0 {
		size = free / 2
	}
	if size < recorded {
		return 0, fmt.Errorf("natsd: the store cannot shrink from %d to %d bytes: its streams keep their sizes: edit them first, then put the new size into %s", recorded, size, path)
	}
	if size > recorded+free {
		return 0, fmt.Errorf("natsd: a store of %d bytes does not fit: %s has %d bytes free: choose a smaller --store-max-bytes", size, dir, free)
	}
	if err := os.WriteFile(path, []byte(strconv.FormatInt(size, 10)+"\n"), 0o600); err != nil {
		return 0, fmt.Errorf("natsd: record store size: %w", err)
	}
	return size, nil
}

// readStoreFile returns the recorded size, or 0 when there is none yet.
func readStoreFile(path string) (int64, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // inside the data directory
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("natsd: read store size: %w", err)
	}
	size, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil || size <= 0 {
		return 0, fmt.Errorf("natsd: %s does not hold a number of bytes: put one in, or remove the file", path)
	}
	return size, nil
}

func freeBytes(dir string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("natsd: measure free space of %s: %w", dir, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil //nolint:gosec,unconvert // types differ by system; no disk has 2^63 bytes
}
