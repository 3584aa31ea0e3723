package callback_test

import (
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

func TestTaskIDIsFoundInEitherPlace(t *testing.T) {
	t.Parallel()
	cover := contract(t, "cover")
	for _, row := range []struct{ name, data, want string }{
		{"task_id", `"task_id":"a1"`, "a1"},
		{"taskId", `"taskId":"a1"`, "a1"},
		{"both", `"task_id":"a1","taskId":"a1"`, "a1"},
		{"both, one escaped", `"task_id":"a1","taskId":"\u0061\u0031"`, "a1"},
		{"task_id is null", `"task_id":null,"taskId":"a1"`, "a1"},
		{"task_id is empty", `"task_id":"","taskId":"a1"`, "a1"},
		{"task_id is an empty list", `"task_id":[],"taskId":"a1"`, "a1"},
		{"taskId is null", `"task_id":"a1","taskId":null`, "a1"},
		{"taskId is empty", `"task_id":"a1","taskId":""`, "a1"},
		{"taskId is an empty list", `"task_id":"a1","taskId":[]`, "a1"},
		{"one character", `"task_id":"a"`, "a"},
		{"80 characters", `"task_id":"` + strings.Repeat("a", 80) + `"`, strings.Repeat("a", 80)},
		{"the whole alphabet", `"task_id":"AZaz09_.*:-"`, "AZaz09_.*:-"},
		{"masked", `"task_id":"2fac****9f72"`, "2fac****9f72"},
		{"dots before a letter", `"task_id":"..a"`, "..a"},
		{"digits alone", `"task_id":"007"`, "007"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			body := []byte(`{"code":500,"msg":"","data":{` + row.data + `}}`)
			cb, err := cover.Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			identified, err := contract(t, "cover").Identify(body)
			if err != nil {
				t.Fatal(err)
			}
			if string(cb.TaskID) != row.want || identified.TaskID != cb.TaskID {
				t.Errorf("task ID = %q, identified %q, want %q", cb.TaskID, identified.TaskID, row.want)
			}
		})
	}
}

func TestTaskIDsThatAreRefused(t *testing.T) {
	t.Parallel()
	rows := []verdict{
		{"the two differ", `"task_id":"a1","taskId":"a2"`, ""},
		{"the two differ in case", `"task_id":"a1","taskId":"A1"`, ""},
		{"the two differ by a space", `"task_id":"a1","taskId":"a1 "`, ""},
		{"neither", ``, ""},
		{"both null", `"task_id":null,"taskId":null`, ""},
		{"both empty", `"task_id":"","taskId":""`, ""},
		{"all kinds of nothing", `"task_id":[],"taskId":null`, ""},
		{"a number", `"task_id":12345`, ""},
		{"a bool", `"task_id":false`, ""},
		{"an object", `"task_id":{}`, ""},
		{"a list with a string", `"task_id":["a1"]`, ""},
		{"a string and a number", `"task_id":"1","taskId":1`, ""},
		{"81 characters", `"task_id":"` + strings.Repeat("a", 81) + `"`, ""},
		{"100,000 characters", `"task_id":"` + strings.Repeat("a", 100_000) + `"`, ""},
		{"space before", `"task_id":" ` + canary + `"`, ""},
		{"space after", `"task_id":"` + canary + ` "`, ""},
		{"line feed after", `"task_id":"` + canary + `\n"`, ""},
		{"space inside", `"task_id":"a b"`, ""},
		{"tab", `"task_id":"a\tb"`, ""},
		{"NUL", `"task_id":"a\u0000"`, ""},
		{"slash", `"task_id":"a/b"`, ""},
		{"backslash", `"task_id":"a\\b"`, ""},
		{"percent", `"task_id":"a%62"`, ""},
		{"equals", `"task_id":"a=62"`, ""},
		{"wildcard of subjects", `"task_id":"a.>"`, ""},
		{"letter beyond ASCII", `"task_id":"é1"`, ""},
		{"digit beyond ASCII", `"task_id":"١"`, ""},
		{"zero width space", `"task_id":"a\u200b"`, ""},
		{"full stop", `"task_id":"."`, ""},
		{"two full stops", `"task_id":".."`, ""},
		{"asterisks", `"task_id":"****"`, ""},
		{"punctuation of all kinds", `"task_id":"_.*:-"`, ""},
	}
	for i := range rows {
		rows[i].body = `{"code":500,"msg":"","data":{` + rows[i].body + `},"task_id":"a1","taskId":"a1"}`
		rows[i].want = callback.ReasonTaskID
	}
	judge(t, "cover", rows)
}

// A signature is checked over the task ID before anything else is held against
// the schema.
func TestIdentifyAsksForNoMoreThanATaskID(t *testing.T) {
	t.Parallel()
	in, err := contract(t, "cover").Identify([]byte(`{"code":"x","data":{"taskId":"a1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if in.TaskID != "a1" {
		t.Errorf("task ID = %q, want a1", in.TaskID)
	}
	_, err = contract(t, "cover").Accept(in)
	checkRefused(t, err, callback.ReasonSchema)
}

func TestParseTaskIDByCharacter(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.*:-"
	for c := range 256 {
		s := "a" + string([]byte{byte(c)})
		id, err := callback.ParseTaskID(s)
		if allowed := strings.IndexByte(alphabet, byte(c)) >= 0; allowed != (err == nil) || allowed && string(id) != s {
			t.Errorf("ParseTaskID(%q) = %q, %v; allowed is %t", s, id, err, allowed)
		}
	}
	_, err := callback.ParseTaskID("")
	checkRefused(t, err, callback.ReasonTaskID)
}
