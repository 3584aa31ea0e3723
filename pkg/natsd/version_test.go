package natsd_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fanfare/pkg/natsd"
)

func TestDirectoryStatesItsVersion(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	path := filepath.Join(o.Dir, "version")
	for _, before := range []string{"", "1", "1\n"} { // "": there is none yet, or an end amid the first start
		if before != "" {
			if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		start(t, o).Stop()
		if raw, err := os.ReadFile(path); err != nil || string(raw) != "1\n" && string(raw) != before {
			t.Errorf("%q became %q, %v", before, raw, err)
		}
	}
	for said, newer := range map[string]bool{"2": true, "0": false, "one": false} {
		if err := os.WriteFile(path, []byte(said), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := refused(t, o, path); errors.Is(err, natsd.ErrNewer) != newer {
			t.Errorf("%q: %v", said, err)
		}
	}
}
