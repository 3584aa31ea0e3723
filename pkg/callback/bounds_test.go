package callback_test

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"fanfare/pkg/callback"
	"fanfare/schemas"
)

// TestLongListsCostLittle refuses a body of 1 MiB that is one long list. A schema
// that looked at every item would take hundreds of MiB for its complaints.
func TestLongListsCostLittle(t *testing.T) {
	for typ, member := range map[callback.Type]string{"cover": "images", "music": "data"} {
		c := contract(t, typ)
		body := []byte(`{"code":200,"msg":"","data":{"task_id":"t","` + member + `":[` + strings.Repeat("1,", 500_000) + `1]}}`)
		result := testing.Benchmark(func(b *testing.B) {
			b.Helper()
			for b.Loop() {
				if _, err := c.Decode(body); err == nil {
					b.Fatal("accepted")
				}
			}
		})
		if bytes := result.AllocedBytesPerOp(); bytes > 8<<20 {
			t.Errorf("%s: refusing it takes %d bytes", typ, bytes)
		}
	}
}

// TestNoSchemaAllowsALongList holds what the decoder keeps of a list against what
// the schemas may ask for.
func TestNoSchemaAllowsALongList(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(schemas.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := schemas.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range regexp.MustCompile(`"(?:max|min)Items": (\d+)`).FindAllStringSubmatch(string(text), -1) {
			if n, err := strconv.Atoi(limit[1]); (err != nil || n > 64) && name != "result.json" {
				t.Errorf("%s: %s: a callback's lists are read up to 64 items", name, limit[0])
			}
		}
	}
}
