package format_test

import (
	"errors"
	"testing"

	"fanfare/pkg/format"
)

func TestWhatIsNewerIsRefused(t *testing.T) {
	t.Parallel()
	type inner struct {
		B int `json:"b"`
	}
	for _, row := range []struct {
		name, value string
		newer, bad  bool
		readable    bool // though not to be written again
	}{
		{"no version", `{"a":{"b":1}}`, false, false, true},
		{"an older version", `{"version":1,"a":{"b":1}}`, false, false, true},
		{"the newest version", `{"version":2,"a":{"b":1}}`, false, false, true},
		{"a newer version", `{"version":3,"a":{"b":1}}`, true, false, false},
		{"a newer version of another shape", `{"version":3,"a":"b"}`, true, false, false},
		{"an unknown member", `{"version":2,"a":{"b":1},"c":1}`, true, false, true},
		{"an unknown member deep inside", `{"version":2,"a":{"b":1,"c":1}}`, true, false, true},
		{"another shape", `{"version":2,"a":"b"}`, false, true, false},
		{"a version below 1", `{"version":-1}`, false, true, false},
		{"a version that is no number", `{"version":"2"}`, false, true, false},
		{"no object", `[]`, false, true, false},
		{"no JSON", `{`, false, true, false},
	} {
		var whole, part struct {
			Version int   `json:"version"`
			A       inner `json:"a"`
		}
		err := format.ReadAll([]byte(row.value), 2, &whole, &whole.Version)
		if newer := errors.Is(err, format.ErrNewer); newer != row.newer || !newer && (err != nil) != row.bad {
			t.Errorf("%s: to be written again: %v", row.name, err)
		}
		err = format.Read([]byte(row.value), 2, &part, &part.Version)
		if (err == nil) != row.readable || errors.Is(err, format.ErrNewer) != (row.newer && !row.readable) {
			t.Errorf("%s: %v", row.name, err)
		}
		if err == nil && part.A.B != 1 {
			t.Errorf("%s: read as %+v", row.name, part)
		}
	}
}
