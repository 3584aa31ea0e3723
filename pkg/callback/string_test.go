package callback_test

import (
	"testing"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
)

func TestStringReadsNothingAsEmpty(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		in   string
		want callback.String
	}{
		{`"https://h/a"`, "https://h/a"},
		{`"\u0061"`, "a"},
		{`""`, ""},
		{`null`, ""},
		{`[]`, ""},
		{`["a"]`, ""},
		{`{"a":"b"}`, ""},
		{`7`, ""},
		{`true`, ""},
	} {
		value := struct{ Before, It, After callback.String }{It: "old"}
		if err := json.Unmarshal([]byte(`{"Before":"b","It":`+row.in+`,"After":"a"}`), &value); err != nil {
			t.Errorf("%s: %v", row.in, err)
		}
		if value.It != row.want || value.Before != "b" || value.After != "a" {
			t.Errorf("%s is read as %+v, want %q", row.in, value, row.want)
		}
	}
	for _, in := range []string{``, `"`, `"\ud800"`, `[`, `x`} {
		var s callback.String
		if err := json.Unmarshal([]byte(in), &s); err == nil {
			t.Errorf("%q is read as %q, want an error", in, s)
		}
	}
}
