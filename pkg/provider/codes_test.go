package provider

import (
	"fmt"
	"testing"
)

// The rows of the hosts' reference pages, and what else may come.
func TestCodesPerHost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, row := range []struct {
		code              int
		kie, suno, others Outcome
	}{
		{301, Refused, Refused, Refused},
		{400, Unusable, Unusable, Unusable},
		{401, Refused, Refused, Refused},
		{402, NoCredits, NoCredits, NoCredits},
		{403, Refused, Refused, Refused},
		{404, Refused, Refused, Refused},
		{405, Refused, Throttled, Throttled},
		{408, Unavailable, Unavailable, Unavailable},
		{409, Unusable, Unusable, Unusable},
		{413, Unusable, Unusable, Unusable},
		{422, UnknownTask, UnknownTask, UnknownTask},
		{429, Throttled, NoCredits, Throttled},
		{430, Throttled, Throttled, Throttled},
		{433, NoCredits, NoCredits, NoCredits},
		{451, Unusable, Unusable, Unusable},
		{455, Unavailable, Unavailable, Unavailable},
		{500, Unavailable, Unavailable, Unavailable},
		{501, Unavailable, Unavailable, Unavailable},
		{502, Unavailable, Unavailable, Unavailable},
		{503, Unavailable, Unavailable, Unavailable},
		{504, Unavailable, Unavailable, Unavailable},
		{505, Refused, Refused, Refused},
		{531, Unavailable, Unavailable, Unavailable},
		{999, Unusable, Unusable, Unusable},
	} {
		for host, want := range map[string]Outcome{
			"api.kie.ai": row.kie, "API.KIE.AI.": row.kie, "kie.ai": row.kie,
			"api.sunoapi.org": row.suno,
			"127.0.0.1":       row.others, "notkie.ai": row.others, "kie.ai.example": row.others, "api.box": row.others,
		} {
			t.Run(fmt.Sprint(row.code, " of ", host), func(t *testing.T) {
				t.Parallel()
				for name, a := range map[string]Answer{
					"a code":             r.told(t, host, "music", 200, fmt.Sprintf(`{"code":%d,"msg":%q,"data":null}`, row.code, canary)),
					"a code in a string": r.told(t, host, "music", 200, fmt.Sprintf(`{"code":"%d","msg":%q}`, row.code, canary)),
					"a status":           r.told(t, host, "music", row.code, canary),
					"a status and code":  r.told(t, host, "music", row.code, fmt.Sprintf(`{"code":%d,"msg":%q}`, row.code, canary)),
					"another status":     r.told(t, host, "music", 400, fmt.Sprintf(`{"code":%d,"msg":%q}`, row.code, canary)),
					"a status, code 200": r.told(t, host, "music", row.code, record(`"status":"SUCCESS","response":`+results()["music"])),
				} {
					if a.Outcome != want || int(a.Code) != row.code || a.Detail == "" {
						t.Errorf("as %s: %+v, want %s", name, a, want)
					}
				}
			})
		}
	}
}

func TestCodesBeyondHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for code, want := range map[string]Outcome{
		"-1":         Unusable,
		"0":          Unusable, // a success for video alone
		"1e300":      Unusable,
		"2147483648": Unusable,
		"200.5":      Unusable,
		"null":       Unusable,
		"true":       Unusable,
		`"ok"`:       Unusable,
		"[200]":      Unusable,
		"2.0e2":      Running,
		`"200"`:      Running,
	} {
		body := fmt.Sprintf(`{"code":%s,"msg":[],"data":{"taskId":%q,"successFlag":"PENDING"}}`, code, taskID)
		if a := r.told(t, "api.kie.ai", "wav", 200, body); a.Outcome != want {
			t.Errorf("code %s: %+v, want %s", code, a, want)
		}
	}
	body := fmt.Sprintf(`{"code":0,"msg":"success","data":{"taskId":%q,"successFlag":"SUCCESS","response":%s}}`, taskID, results()["video"])
	if a := r.told(t, "api.kie.ai", "video", 200, body); a.Outcome != Final || a.Callback.MessageID() != "video/"+string(taskID)+"/complete/0" {
		t.Errorf("code 0 of a video: %+v", a)
	}
}

// A status that is a success, but not 200, says nothing that is documented.
func TestOtherSuccesses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, status := range []int{201, 202, 203, 206, 226} {
		if a := r.told(t, "api.kie.ai", "wav", status, record(`"successFlag":"PENDING"`)); a.Outcome != Unusable {
			t.Errorf("status %d: %+v", status, a)
		}
	}
}
