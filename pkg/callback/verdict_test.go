package callback_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"fanfare/pkg/callback"
)

// canary stands in hostile bodies where a careless message would repeat it.
const canary = "c4n4ry"

// maxAnswerBytes bounds what a sender is told.
const maxAnswerBytes = 1024

// verdict is one row of a table of the rules of acceptance.
type verdict struct {
	name string
	body string
	want callback.Reason // "": accepted
}

func contracts(tb testing.TB) callback.Contracts {
	tb.Helper()
	all, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func contract(tb testing.TB, t callback.Type) *callback.Contract {
	tb.Helper()
	c := contracts(tb)[t]
	if c == nil {
		tb.Fatalf("no contract for type %q", t)
	}
	return c
}

// judge decodes every row's body by the type's contract and compares the verdict.
func judge(t *testing.T, typ callback.Type, rows []verdict) {
	t.Helper()
	c := contract(t, typ)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			cb, err := c.Decode([]byte(row.body))
			switch {
			case row.want != "":
				checkRefused(t, err, row.want)
			case err != nil:
				t.Errorf("refused: %v\n%.300s", err, row.body)
			case !bytes.Equal(cb.Body, []byte(row.body)):
				t.Errorf("the body was changed to %.300s", cb.Body)
			}
		})
	}
}

// checkRefused checks that err is what a sender may see of a refusal for that reason.
func checkRefused(tb testing.TB, err error, want callback.Reason) {
	tb.Helper()
	var invalid *callback.Invalid
	if !errors.As(err, &invalid) {
		tb.Fatalf("err = %v, want an *Invalid of reason %s", err, want)
	}
	if invalid.Reason != want {
		tb.Errorf("reason = %s, want %s (%s)", invalid.Reason, want, invalid.Message)
	}
	checkTellable(tb, invalid)
}

// checkTellable checks that the refusal is short, legible and not an echo.
func checkTellable(tb testing.TB, invalid *callback.Invalid) {
	tb.Helper()
	text := invalid.Error()
	if invalid.Message == "" || len(text) > maxAnswerBytes || !utf8.ValidString(text) {
		tb.Errorf("message %q is no short legible sentence", text)
	}
	if strings.Contains(strings.ToLower(text), canary) {
		tb.Errorf("message %q repeats what was sent", text)
	}
}

// failed is a body that is valid for every type and has the members given, which
// nobody needs.
func failed(members string) string {
	return `{"code":500,"msg":"no","data":{"task_id":"t1"}` + members + `}`
}

// succeeded is a success whose data has the members given beside its task ID.
func succeeded(members string) string {
	return `{"code":200,"msg":"yes","data":{"task_id":"t1"` + members + `}}`
}

// list is a JSON list of n times the same item.
func list(n int, item string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
}
