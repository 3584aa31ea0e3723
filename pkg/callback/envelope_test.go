package callback_test

import (
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

func TestCodesOfOneValueAreOneCode(t *testing.T) {
	t.Parallel()
	video := contract(t, "video")
	for _, row := range []struct {
		literal string
		want    int32
	}{
		{"200", 200},
		{"200.0", 200},
		{"2e2", 200},
		{"2E+2", 200},
		{"0.2e3", 200},
		{"20000e-2", 200},
		{"200.000000000000000000000000000001", 200}, // read as float64
		{"0", 0},
		{"-0", 0},
		{"-0.0", 0},
		{"0e9", 0},
		{"501.00", 501},
		{"1", 1},
		{"-1", -1},
		{"2147483647", 2147483647},
		{"-2147483648", -2147483648},
	} {
		t.Run(row.literal, func(t *testing.T) {
			t.Parallel()
			cb, err := video.Decode([]byte(`{"code":` + row.literal + `,"msg":"","data":{"task_id":"t1","video_url":"https://h/v.mp4"}}`))
			if err != nil {
				t.Fatal(err)
			}
			if cb.Code != row.want {
				t.Errorf("code = %d, want %d", cb.Code, row.want)
			}
		})
	}
}

func TestCodesThatAreRefused(t *testing.T) {
	t.Parallel()
	const bad = callback.ReasonSchema
	var rows []verdict
	for _, literal := range []string{
		"200.5", "0.1", `"200"`, `""`, "null", "true", "[]", "[200]", "{}",
		"2147483648", "-2147483649", "1e10", "1e400", "-1e400", "4294967496", "18446744073709551816",
	} {
		rows = append(rows, verdict{literal, `{"code":` + literal + `,"msg":"","data":{"task_id":"t1","video_url":"https://h/v.mp4"}}`, bad})
	}
	rows = append(rows, verdict{"missing", `{"msg":"","data":{"task_id":"t1","video_url":"https://h/v.mp4"}}`, bad})
	judge(t, "video", rows)
}

func TestMessageIsAString(t *testing.T) {
	t.Parallel()
	const bad = callback.ReasonSchema
	const before, after = `{"code":500,"data":{"task_id":"t1"},"msg":`, `}`
	judge(t, "wav", []verdict{
		{"empty", before + `""` + after, ""},
		{"in another language", before + `"音频生成失败"` + after, ""},
		{"very long", before + `"` + strings.Repeat("é", 100_000) + `"` + after, ""},
		{"missing", `{"code":500,"data":{"task_id":"t1"}}`, bad},
		{"null", before + `null` + after, bad},
		{"a number", before + `1` + after, bad},
		{"a list", before + `[]` + after, bad},
		{"an object", before + `{}` + after, bad},
		{"a bool", before + `false` + after, bad},
	})
}

func TestDataIsAnObject(t *testing.T) {
	t.Parallel()
	const bad = callback.ReasonTaskID // for it holds the task ID
	const before, after = `{"code":500,"msg":"","data":`, `}`
	judge(t, "wav", []verdict{
		{"missing", `{"code":500,"msg":"","task_id":"t1"}`, bad},
		{"null", before + `null` + after, bad},
		{"empty", before + `{}` + after, bad},
		{"a list", before + `[{"task_id":"t1"}]` + after, bad},
		{"a string", before + `"` + canary + `"` + after, bad},
		{"a number", before + `1` + after, bad},
		{"a bool", before + `true` + after, bad},
	})
}

func TestWhatWasReadIsTold(t *testing.T) {
	t.Parallel()
	body := []byte("\n{ \"code\" : 5.01e2, \"msg\" : \"\\u0041\\n\", \"data\" : { \"taskId\" : \"a\\u002Db\" } }\r\n")
	sent := string(body)
	cb, err := contract(t, "cover").Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	if cb.Type != "cover" || cb.TaskID != "a-b" || cb.Stage != callback.Error || cb.Word != "" || cb.Code != 501 {
		t.Errorf("read as %+v", cb)
	}
	if cb.Message != "A\n" || !cb.Received.IsZero() {
		t.Errorf("message %q at %v, want the text as sent and no time", cb.Message, cb.Received)
	}
	if string(cb.Body) != sent || string(body) != sent {
		t.Errorf("the body is %q, was sent as %q", cb.Body, sent)
	}
}
