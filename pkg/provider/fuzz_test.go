package provider

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"fanfare/pkg/callback"
)

// FuzzJudge holds every verdict on an answer against what a verdict promises.
func FuzzJudge(f *testing.F) {
	all := contracts(f)
	types := all.Types()
	for i, typ := range types {
		for _, word := range []string{`"SUCCESS"`, `"TEXT_SUCCESS"`, `"CALLBACK_EXCEPTION"`, "3", "1"} {
			f.Add(uint8(i), uint16(200), string(taskID), []byte(record(`"status":`+word+`,"response":`+results()[typ])))
		}
	}
	for _, body := range strange() {
		f.Add(uint8(1), uint16(200), string(taskID), []byte(body))
	}
	f.Add(uint8(1), uint16(429), "another", []byte(record(`"status":"PENDING","errorCode":413`)))
	f.Add(uint8(2), uint16(200), "a*", []byte(`{"code":0,"data":{"task_id":"a*","successFlag":1,"response":{"videoUrl":"HTTPS://h"}}}`))
	f.Fuzz(func(t *testing.T, which uint8, status uint16, id string, body []byte) {
		task, err := callback.ParseTaskID(id)
		if err != nil {
			t.Skip()
		}
		contract := all[types[int(which)%len(types)]]
		d, _ := contract.Details()
		for _, host := range []string{"api.kie.ai", "api.sunoapi.org", "127.0.0.1"} {
			q := question{contract, d, task, verdictsOf(host)}
			a := q.judge(reply{status: int(status), body: body})
			if status == 0 {
				return // there was no answer, so there is no verdict
			}
			checkAnswer(t, contract, task, a)
			if again := q.judge(reply{status: int(status), body: bytes.Clone(body)}); !bytes.Equal(again.Callback.Body, a.Callback.Body) {
				t.Errorf("the same answer makes\n%s and\n%s", a.Callback.Body, again.Callback.Body)
			}
			if a.Outcome.Usable() && a.Outcome != UnknownTask && (status != 200 || !jsontext.Value(body).IsValid()) {
				t.Errorf("%s of status %d and %q", a.Outcome, status, body)
			}
		}
	})
}
