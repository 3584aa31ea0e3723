package provider

import (
	"fmt"
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

// An error's code counts whatever else is said; what is no number counts as none.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for errorCode, want := range map[string]int32{
		`413`: 413, `"413"`: 413, `4.13e2`: 413, `-1`: -1, `531`: 531,
		`null`: 0, `200`: 0, `"200"`: 0, `0`: 0, `"0"`: 0, `""`: 0, `"none"`: 0, `[]`: 0, `{}`: 0, `true`: 0, `5e9`: 0, `4.5`: 0,
	} {
		for typ := range r.contracts {
			for _, word := range []string{`"PENDING"`, `"SUCCESS"`, `"FIRST_SUCCESS"`, `2`, `null`} {
				a := r.told(t, "api.kie.ai", typ, 200, record(fmt.Sprintf(
					`"status":%s,"errorCode":%s,"errorMessage":"Uploaded audio matches","response":%s`, word, errorCode, results()[typ])))
				failed := a.Outcome == Final && a.Callback.Stage == callback.Error
				if failed != (want != 0) || failed && (a.Callback.Code != want || a.Callback.Message != "Uploaded audio matches") {
					t.Errorf("%s %s with errorCode %s: %+v", typ, word, errorCode, a)
				}
			}
		}
	}
}

func TestFailuresWithTheirCode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for members, want := range map[string]string{
		`"status":"GENERATE_AUDIO_FAILED","errorCode":408,"errorMessage":"slow"`:   `408 slow`,
		`"status":"GENERATE_AUDIO_FAILED","errorCode":null,"errorMessage":null`:    `500 task details: GENERATE_AUDIO_FAILED`,
		`"status":"GENERATE_AUDIO_FAILED","errorCode":200`:                         `500 task details: GENERATE_AUDIO_FAILED`,
		`"status":"SENSITIVE_WORD_ERROR","errorMessage":"words"`:                   `400 words`,
		`"status":"SENSITIVE_WORD_ERROR","errorCode":"413"`:                        `413 task details: SENSITIVE_WORD_ERROR`,
		`"successFlag":3,"errorMessage":["x"]`:                                     `500 task details: 3`,
		`"errorCode":500`:                                                          `500 task details: failed`,
		`"status":"CALLBACK_EXCEPTION","errorCode":413,"response":null`:            `413 task details: CALLBACK_EXCEPTION`,
		`"status":"CALLBACK_EXCEPTION","errorCode":413,"response":{"sunoData":[]}`: `413 task details: CALLBACK_EXCEPTION`,
	} {
		a := r.told(t, "api.kie.ai", "music", 200, record(members))
		if got := fmt.Sprint(a.Callback.Code, " ", a.Callback.Message); a.Outcome != Final || got != want {
			t.Errorf("%s: %s: %s, want %s", members, a.Outcome, got, want)
		}
		body := fmt.Sprintf(`{"code":%d,"data":{"callbackType":"error","data":null,"task_id":%q},"msg":%q}`, a.Callback.Code, taskID, a.Callback.Message)
		if string(a.Callback.Body) != body {
			t.Errorf("%s\nwant %s", a.Callback.Body, body)
		}
	}
}

// What the provider could not report may be whole, in part or not there yet.
func TestCallbackException(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	unfinished := `{"id":"b","audioUrl":"","streamAudioUrl":"https://h/s","duration":null}`
	for response, want := range map[string]Outcome{
		`{"sunoData":[` + track + `]}`:                         Final,
		`{"sunoData":[` + track + `,{"id":"","audioUrl":""}]}`: Final,
		`{"sunoData":[` + track + `,` + unfinished + `]}`:      Running,
		`{"sunoData":[` + unfinished + `]}`:                    Running,
		`{"sunoData":[` + track + `,7]}`:                       Running,
	} {
		for _, errorCode := range []string{"null", "200", "500"} { // which may be that of the report
			a := r.told(t, "api.kie.ai", "music", 200, record(`"status":"CALLBACK_EXCEPTION","errorCode":`+errorCode+`,"response":`+response))
			if a.Outcome != want || want == Final && a.Callback.Stage != callback.Complete {
				t.Errorf("errorCode %s, %s: %+v, want %s", errorCode, response, a, want)
			}
		}
	}
}

func TestUnknownTasks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, data := range []string{`,"data":null`, ``, `,"data":""`, `,"data":[]`, `,"data":{ }`} {
		for typ := range r.contracts {
			if a := r.told(t, "api.kie.ai", typ, 200, `{"code":200,"msg":"success"`+data+`}`); a.Outcome != UnknownTask || a.Code != 200 {
				t.Errorf("%s%s: %+v", typ, data, a)
			}
		}
	}
	if a := r.told(t, "api.kie.ai", "wav", 200, `{"code":422,"msg":"Record does not exist","data":null}`); a.Outcome != UnknownTask || a.Code != 422 {
		t.Errorf("%+v", a)
	}
}

// strange are answers that say 200 and are of no use.
func strange() map[string]string {
	final := `"status":"SUCCESS","response":` + results()["music"]
	return map[string]string{
		"nothing":                    ``,
		"no object":                  `[]`,
		"a text":                     `"` + canary + `"`,
		"HTML":                       `<html>` + canary,
		"a byte order mark":          "\ufeff" + record(final),
		"another object behind":      record(final) + `{}`,
		"half":                       record(final)[:80],
		"invalid UTF-8":              record(final + ",\"x\":\"\xff\""),
		"half a surrogate":           record(final + `,"x":"\ud800"`),
		"the same name twice":        record(final + `,"status":"SUCCESS"`),
		"the same name in a track":   record(`"status":"SUCCESS","response":{"sunoData":[{"id":"a","id":"b"}]}`),
		"the same name, escaped":     record(final + `,"x":{"a":1,"\u0061":1}`),
		"names in another case":      strings.Replace(record(final), `"code"`, `"Code"`, 1),
		"a number no float can hold": record(`"status":1e999`),
		"data that is a text":        `{"code":200,"msg":"","data":"` + canary + `"}`,
		"data that is a list":        `{"code":200,"msg":"","data":[` + record(final) + `]}`,
		"another task":               strings.ReplaceAll(record(final), string(taskID), "another"),
		"the task in capitals":       strings.ReplaceAll(record(final), string(taskID), strings.ToUpper(string(taskID))),
		"no task ID":                 `{"code":200,"msg":"","data":{` + final + `}}`,
		"a task ID that is a number": `{"code":200,"msg":"","data":{"taskId":5,` + final + `}}`,
		"two task IDs":               record(final + `,"task_id":"another"`),
		"65 tracks":                  record(`"status":"SUCCESS","response":{"sunoData":[` + track + strings.Repeat(","+track, 64) + `]}`),
		"100,000 tracks":             record(`"status":"TEXT_SUCCESS","response":{"sunoData":[{}` + strings.Repeat(",{}", 100_000) + `]}`),
	}
}

func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, body := range strange() {
		if a := r.told(t, "api.kie.ai", "music", 200, body); a.Outcome != Unusable || a.Detail == "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// What is no use to anybody may be anything; what nests deeper than a callback may
// is no result.
func TestToleratedAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	deep := strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)
	for members, want := range map[string]Outcome{
		`"status":"SUCCESS","createTime":1753958521000,"param":"{\"a\":\"\\u0000\"}","x":` + deep: Final,
		`"status":"SUCCESS","createTime":"2025-01-01 00:00:00","operationType":[],"type":{}`:      Final,
		`"task_id":"` + string(taskID) + `","status":"SUCCESS"`:                                   Final,
	} {
		if a := r.told(t, "", "music", 200, record(members+`,"response":`+results()["music"])); a.Outcome != want {
			t.Errorf("%.100s: %+v", members, a)
		}
	}
	a := r.told(t, "", "music", 200, record(`"status":"SUCCESS","response":{"sunoData":[{"audioUrl":"https://h/a","x":`+deep+`}]}`))
	if a.Outcome != Incomplete {
		t.Errorf("%+v", a)
	}
	snake := strings.Replace(record(`"status":"SUCCESS","response":`+results()["music"]), "taskId", "task_id", 1)
	if a := r.told(t, "", "music", 200, snake); a.Outcome != Final {
		t.Errorf("%+v", a)
	}
}
