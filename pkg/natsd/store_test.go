package natsd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStoreSizeIsAskedForThenRecorded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, row := range []struct {
		asked, want int64
	}{
		{storeBytes, storeBytes},
		{0, storeBytes},                  // as recorded, not half of what is free by now
		{2 * storeBytes, storeBytes * 2}, // the operator's word counts
		{0, storeBytes * 2},
	} {
		o := options(t, dir)
		o.StoreMaxBytes = row.asked
		s := start(t, o)
		s.Stop()
		if got := s.StoreMaxBytes(); got != row.want {
			t.Errorf("asked for %d, the store may take %d, want %d", row.asked, got, row.want)
		}
	}
}

func TestStoreTakesHalfOfWhatIsFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := options(t, dir)
	o.StoreMaxBytes = 0
	s := start(t, o)
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		t.Fatal(err)
	}
	// Others write to the disk meanwhile: a tenth is room enough for them.
	half := float64(stat.Bavail) * float64(stat.Bsize) / 2
	if got := float64(s.StoreMaxBytes()); got < half*0.9 || got > half*1.1 {
		t.Errorf("the store may take %.0f bytes, half of what is free are %.0f", got, half)
	}
}

// The streams keep their sizes, so a smaller store would be too small for them.
func TestStoreDoesNotShrink(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	start(t, o).Stop()
	o.StoreMaxBytes = storeBytes - 1
	refused(t, o, "shrink", "67108864", "67108863", filepath.Join(o.Dir, "store-max-bytes"))
	o.StoreMaxBytes = 0
	if got := start(t, o).StoreMaxBytes(); got != storeBytes {
		t.Errorf("the store may take %d bytes", got)
	}
}

func TestStoreThatDoesNotFitTheDiskIsRefusedAndNotRecorded(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	o.StoreMaxBytes = 1 << 60
	refused(t, o, "does not fit", o.Dir, "--store-max-bytes")
	o.StoreMaxBytes = storeBytes
	start(t, o)
}

func TestBrokenRecordIsExplained(t *testing.T) {
	t.Parallel()
	for name, record := range map[string]string{
		"empty": "", "words": "half of it\n", "zero": "0\n", "negative": "-1\n", "fraction": "1.5\n", "too large": "9223372036854775808\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, t.TempDir())
			path := filepath.Join(o.Dir, "store-max-bytes")
			if err := os.WriteFile(path, []byte(record), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, o, path, "number of bytes", "remove the file")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			start(t, o)
		})
	}
}

func TestNegativeStoreSizeIsRefusedAndNotRecorded(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	o.StoreMaxBytes = -1
	refused(t, o, "-1")
	o.StoreMaxBytes = storeBytes
	start(t, o)
}

func TestRecordThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	if err := os.Mkdir(filepath.Join(o.Dir, "store-max-bytes"), 0o750); err != nil {
		t.Fatal(err)
	}
	refused(t, o, "store size", "store-max-bytes")
}

func TestRecordIsForPeopleToo(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	start(t, o)
	raw, err := os.ReadFile(filepath.Join(o.Dir, "store-max-bytes"))
	if err != nil || strings.TrimSpace(string(raw)) != "67108864" {
		t.Errorf("the record says %q, %v", raw, err)
	}
}
