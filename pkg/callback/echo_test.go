package callback_test

import (
	"errors"
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

// A refusal goes back to whoever sent the body: it must not carry anything of
// that body, whatever is wrong with it. One fault at a time is planted among
// canaries in all other places.
func TestRefusalsNeverEchoTheBody(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(canary, 2000)
	faults := map[string]string{
		"top-level text":     `"` + canary + `"`,
		"bare word":          canary,
		"unknown literal":    `{"` + canary + `":` + canary + `}`,
		"duplicate name":     `{"` + canary + `":1,"` + canary + `":2}`,
		"long duplicate":     `{"` + long + `":1,"` + long + `":2}`,
		"deep duplicate":     `{"` + canary + `":{"` + canary + `":[{"` + canary + `":1,"` + canary + `":2}]}}`,
		"bad escape":         `{"` + canary + `":"` + canary + `\x"}`,
		"bad UTF-8":          `{"` + canary + "\xff\":1}",
		"too deep":           nested(`{"`+canary+`":`, "}", 65),
		"after the object":   `{"` + canary + `":1}` + canary,
		"data a text":        `{"code":1,"msg":"` + canary + `","data":"` + canary + `"}`,
		"task ID a number":   `{"code":1,"msg":"","data":{"` + canary + `":1,"task_id":7}}`,
		"task ID a list":     `{"code":1,"msg":"","data":{"task_id":["` + canary + `"]}}`,
		"task ID bad":        `{"code":1,"msg":"","data":{"task_id":"` + canary + ` "}}`,
		"task ID long":       `{"code":1,"msg":"","data":{"task_id":"` + long + `"}}`,
		"task IDs differ":    `{"code":1,"msg":"","data":{"task_id":"` + canary + `1","taskId":"` + canary + `2"}}`,
		"code a text":        `{"code":"` + canary + `","msg":"","data":{"task_id":"t1"}}`,
		"code an object":     `{"code":{"` + canary + `":1},"msg":"","data":{"task_id":"t1"}}`,
		"msg a list":         `{"code":1,"msg":["` + canary + `"],"data":{"task_id":"t1"}}`,
		"callbackType bad":   succeeded(`,"callbackType":"` + canary + ` x"`),
		"callbackType long":  succeeded(`,"callbackType":"` + long + `"`),
		"callbackType list":  succeeded(`,"callbackType":["` + canary + `"]`),
		"result missing":     succeeded(`,"` + canary + `":"` + canary + `"`),
		"result a text":      succeeded(`,"data":"` + canary + `","video_url":{"` + canary + `":1},"images":"` + canary + `","audioWavUrl":["` + canary + `"]`),
		"result no URL":      succeeded(`,"data":[{"audio_url":"` + canary + `"}],"video_url":"` + canary + `","images":["` + canary + `"],"audioWavUrl":"` + canary + `"`),
		"result a long URL":  succeeded(`,"data":[{"audio_url":"https://` + long + `"}],"video_url":"https://` + long + `","images":["https://` + long + `"],"response":{"audioWavUrl":"https://` + long + `"}`),
		"result unparsable":  succeeded(`,"data":[{"audio_url":"https://h/%zz` + canary + `"}],"video_url":"https://h:` + canary + `/","images":["https://` + canary + `@h/"],"audio_wav_url":"ftp://` + canary + `"`),
		"items of all types": succeeded(`,"data":["` + canary + `"],"video_url":true,"images":[{"` + canary + `":1}],"audio_wav_url":{"` + canary + `":1}`),
	}
	for typ, c := range contracts(t) {
		for name, body := range faults {
			t.Run(string(typ)+" "+name, func(t *testing.T) {
				t.Parallel()
				_, err := c.Decode([]byte(body))
				var invalid *callback.Invalid
				if !errors.As(err, &invalid) {
					t.Fatalf("err = %v, want an *Invalid\n%.300s", err, body)
				}
				checkTellable(t, invalid)
			})
		}
	}
}

func TestRefusalsSayWhereTheFaultIs(t *testing.T) {
	t.Parallel()
	all := contracts(t)
	for _, row := range []struct {
		typ        callback.Type
		body, want string
	}{
		{"music", `{"msg":"","data":{"task_id":"t1"}}`, "code"},
		{"music", `{"code":1.5,"msg":"","data":{"task_id":"t1"}}`, "code"},
		{"music", `{"code":2147483648,"msg":"","data":{"task_id":"t1"}}`, "code must be a 32-bit integer"},
		{"music", `{"code":1,"msg":7,"data":{"task_id":"t1"}}`, "msg must be of type string"},
		{"music", `{"code":1,"msg":""}`, "data"},
		{"music", `{"code":1,"msg":"","data":{}}`, "data has neither task_id nor taskId"},
		{"music", succeeded(`,"callbackType":"a b"`), "data.callbackType"},
		{"music", succeeded(`,"data":[]`), "data.data lacks the result that this stage must carry"},
		{"music", succeeded(`,"data":[{"audio_url":"x"}]`), "data.data.0.audio_url"},
		{"music", succeeded(`,"data":` + list(65, `{"audio_url":"https://h/a.mp3"}`)), "data.data has too many items"},
		{"video", succeeded(``), "data lacks video_url"},
		{"video", succeeded(`,"video_url":""`), "data.video_url lacks"},
		{"video", succeeded(`,"video_url":"ftp://h/"`), "data.video_url must be an absolute http or https URL"},
		{"wav", succeeded(``), "data lacks the result that this stage must carry"},
		{"wav", succeeded(`,"response":{"audioWavUrl":"x"}`), "data.response.audioWavUrl"},
		{"cover", succeeded(`,"images":[null]`), "data.images lacks the result that this stage must carry"},
		{"cover", succeeded(`,"images":["https://h/i.png",7]`), "data.images.1 must be of type"},
	} {
		t.Run(string(row.typ)+" "+row.want, func(t *testing.T) {
			t.Parallel()
			if _, err := all[row.typ].Decode([]byte(row.body)); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("err = %v, want it to say %q\n%.300s", err, row.want, row.body)
			}
		})
	}
}
