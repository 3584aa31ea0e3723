package callback_test

import (
	"testing"

	"fanfare/pkg/callback"
)

func TestMessageIDNamesTypeTaskStageAndCode(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		cb   callback.Callback
		want string
	}{
		{callback.Callback{Type: "music", TaskID: "a1", Stage: callback.Text, Code: 200}, "music/a1/text/200"},
		{callback.Callback{Type: "music", TaskID: "a1", Stage: callback.First, Code: 200}, "music/a1/first/200"},
		{callback.Callback{Type: "music", TaskID: "a1", Stage: callback.Complete, Code: 200}, "music/a1/complete/200"},
		{callback.Callback{Type: "music", TaskID: "a1", Stage: callback.Error, Code: 531}, "music/a1/error/531"},
		{callback.Callback{Type: "music", TaskID: "a1", Stage: callback.Other, Word: "task_completed", Code: 200}, "music/a1/other:task_completed/200"},
		{callback.Callback{Type: "video", TaskID: "a1", Stage: callback.Complete, Code: 0}, "video/a1/complete/0"},
		{callback.Callback{Type: "wav", TaskID: "2fac****9f72", Stage: callback.Complete, Code: 200}, "wav/2fac****9f72/complete/200"},
		{callback.Callback{Type: "cover", TaskID: "a:b.c", Stage: callback.Error, Code: -2147483648}, "cover/a:b.c/error/-2147483648"},
	} {
		if got := row.cb.MessageID(); got != row.want {
			t.Errorf("MessageID() = %s, want %s", got, row.want)
		}
	}
}

func TestOneCallbackSpelledDifferentlyHasOneMessageID(t *testing.T) {
	t.Parallel()
	music := contract(t, "music")
	for name, bodies := range map[string][]string{
		"music/a1/complete/200": {
			`{"code":200,"msg":"x","data":{"task_id":"a1","callbackType":"complete",` + track + `}}`,
			` { "data" : { ` + track + `, "taskId" : "\u0061\u0031" }, "msg" : "y", "code" : 2.0e2 } `,
			`{"code":200.00,"msg":"","data":{"callbackType":[],"task_id":"a1","taskId":null,` + track + `}}`,
		},
		"music/a1/error/501": {
			`{"code":501,"msg":"x","data":{"task_id":"a1","callbackType":"error","data":null}}`,
			`{"code":501,"msg":"x","data":{"task_id":"a1","callbackType":"complete","data":[]}}`,
			`{"code":5010e-1,"msg":"x","data":{"task_id":"a1"}}`,
		},
	} {
		for _, body := range bodies {
			cb, err := music.Decode([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if got := cb.MessageID(); got != name {
				t.Errorf("MessageID() = %s, want %s\n%s", got, name, body)
			}
		}
	}
}

func TestKeyIsSafeAndNamesTheTask(t *testing.T) {
	t.Parallel()
	cb := callback.Callback{Type: "wav", TaskID: "a.b:*c"}
	for separator, want := range map[string]string{".": "wav.a=2Eb=3A=2Ac", "/": "wav/a=2Eb=3A=2Ac"} {
		if got := cb.Key(separator); got != want {
			t.Errorf("Key(%q) = %s, want %s", separator, got, want)
		}
		if got := callback.Key(cb.Type, cb.TaskID, separator); got != want {
			t.Errorf("Key of the task with %q = %s, want %s", separator, got, want)
		}
	}
}
