package provider

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"fanfare/pkg/callback"
	"fanfare/schemas"
)

// The bodies are fixed byte for byte: equal answers must be equal messages.
func TestBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	head, id := `{"code":200,"data":{`, `"task_id":"`+string(taskID)+`"`
	finished := `{"audio_url":"https://example.cn/a.mp3","createTime":"2025-01-01 00:00:00","duration":198.44,"id":"8551****662c",` +
		`"image_url":"https://example.cn/a.jpeg","model_name":"chirp-v3-5","prompt":"[Verse]\nNight","source_audio_url":"https://example.cn/s.mp3",` +
		`"source_image_url":"https://example.cn/s.jpeg","source_stream_audio_url":"https://example.cn/s","stream_audio_url":"https://example.cn/a",` +
		`"tags":"electrifying, rock","title":"Iron \"Man\""}`
	for _, row := range []struct {
		typ            callback.Type
		members, wants string
	}{
		{"wav", `"successFlag":"SUCCESS","response":{"audioWavUrl":"https://h/a.wav"}`, `"audioWavUrl":"https://h/a.wav",` + id},
		{"wav", `"status":"SUCCESS","response":{"audio_wav_url":"https://h/a.wav"}`, `"audioWavUrl":"https://h/a.wav",` + id},
		{"wav", `"successFlag":"SUCCESS","response":{"audioWavUrl":null,"audio_wav_url":"https://h/a.wav"}`, `"audioWavUrl":"https://h/a.wav",` + id},
		{"video", `"successFlag":"SUCCESS","response":{"videoUrl":"https:\/\/h\/\u0061.mp4"}`, id + `,"video_url":"https://h/a.mp4"`},
		{"cover", `"successFlag":1,"response":{"images":[ "https://h/1.png" , "" ]}`, `"images":["https://h/1.png",""],` + id},
		{"music", `"status":"SUCCESS","response":` + results()["music"], `"callbackType":"complete","data":[` + finished + `],` + id},
		{
			"music", `"status":"FIRST_SUCCESS","response":{"sunoData":[` + track + `,{"id":"b","audioUrl":"","duration":null}]}`,
			`"callbackType":"first","data":[` + finished + `,{"audio_url":"","duration":null,"id":"b"}],` + id,
		},
		{
			"music", `"status":"SUCCESS","response":{"sunoData":[null,{},"",{"id":"","audioUrl":null,"title":"x"},{"audioUrl":"https://h/a","createTime":1753958521000}]}`,
			`"callbackType":"complete","data":[{"audio_url":"https://h/a","createTime":1753958521000}],` + id,
		},
		{
			"music", `"status":"SUCCESS","response":{"sunoData":[{"audioUrl":"https://h/a","audio_url":"https://h/b"},{"id":"c","audioUrl":"","audio_url":"https://h/c"}]}`,
			`"callbackType":"complete","data":[{"audio_url":"https://h/b"},{"audio_url":"https://h/c","id":"c"}],` + id,
		},
		{"music", `"status":"TEXT_SUCCESS","response":null`, `"callbackType":"text","data":null,` + id},
		{"music", `"status":"TEXT_SUCCESS","response":{"sunoData":[{"id":"","audioUrl":""}]}`, `"callbackType":"text","data":[],` + id},
	} {
		a := r.told(t, "", row.typ, 200, record(row.members))
		if want := head + row.wants + `},"msg":"success"}`; string(a.Callback.Body) != want {
			t.Errorf("%s %s: %+v\n got %s\nwant %s", row.typ, row.members, a, a.Callback.Body, want)
		}
	}
}

// A text of any length for people does not stand in a failure's way.
func TestLongMessagesAreCut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	empty := record(`"status":"FAILED","errorMessage":""`)
	long := strings.Repeat("é", (maxBodyBytes-len(empty))/len("é"))
	a := r.told(t, "", "music", 200, strings.Replace(empty, `"errorMessage":""`, `"errorMessage":"`+long+`"`, 1))
	if a.Outcome != Final || a.Callback.Message != long[:maxMessageBytes] {
		t.Errorf("%s with a message of %d bytes", a.Outcome, len(a.Callback.Message))
	}
}

// A callback may not be larger than one that the gateway takes, though its names
// are longer than the answer's.
func TestCallbacksAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fill := func(n int) string {
		return record(`"status":"SUCCESS","response":{"sunoData":[` + strings.Repeat(track+",", 63) +
			`{"audioUrl":"https://h/a","prompt":"` + strings.Repeat("x", n) + `"}]}`)
	}
	largest := maxBodyBytes - len(fill(0))
	if a := r.told(t, "", "music", 200, fill(largest)); a.Outcome != Incomplete || !strings.Contains(a.Detail, errSize.Error()) {
		t.Errorf("%s %s", a.Outcome, a.Detail)
	}
	if a := r.told(t, "", "music", 200, fill(largest-1000)); a.Outcome != Final {
		t.Errorf("%s %s", a.Outcome, a.Detail)
	}
}

// Of every published callback that is final, the answer that would have told the
// same makes one with the same message ID.
func TestPolledIsPushed(t *testing.T) {
	t.Parallel()
	all := contracts(t)
	names, err := fs.Glob(schemas.Files, "examples/*/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range names {
		contract := all[callback.Type(path.Base(path.Dir(name)))]
		body, err := schemas.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pushed, err := contract.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if pushed.Stage == callback.Other {
			continue // no status word is known for it
		}
		d, _ := contract.Details()
		a := question{contract, d, pushed.TaskID, verdictsOf("")}.judge(reply{status: 200, body: detailsOf(t, d, pushed)})
		checkAnswer(t, contract, pushed.TaskID, a)
		if got := a.Callback.MessageID(); got != pushed.MessageID() {
			t.Errorf("%s is %s, polled it is %s (%+v)", name, pushed.MessageID(), got, a)
		}
		if pushed.Stage.Final() != (a.Outcome == Final) {
			t.Errorf("%s: %s", name, a.Outcome)
		}
	}
}

// detailsOf is the answer that tells what the callback does.
func detailsOf(t *testing.T, d callback.Details, pushed callback.Callback) []byte {
	t.Helper()
	var body struct {
		Data map[string]jsontext.Value `json:"data"`
	}
	if err := json.Unmarshal(pushed.Body, &body); err != nil {
		t.Fatal(err)
	}
	response := string(body.Data["response"])
	for _, name := range append(d.Result.From, d.Result.To) {
		if value, ok := body.Data[name]; ok {
			from := d.Result.From[0]
			if name != d.Result.To {
				from = name
			}
			response = `{"` + from + `":` + string(value) + `}`
		}
	}
	if d.Result.Items != nil {
		for from, to := range d.Result.Items.Rename {
			response = strings.ReplaceAll(response, `"`+to+`":`, `"`+from+`":`)
		}
	}
	word := map[callback.Stage]string{
		callback.Text: "TEXT_SUCCESS", callback.First: "FIRST_SUCCESS", callback.Complete: "SUCCESS", callback.Error: "CREATE_TASK_FAILED",
	}[pushed.Stage]
	envelope := map[string]any{"code": 200, "msg": "success"}
	data := map[string]any{"taskId": pushed.TaskID, "status": word, "errorCode": nil, "response": nil}
	if pushed.Stage == callback.Error {
		data["errorCode"], data["errorMessage"] = pushed.Code, pushed.Message
	} else {
		envelope["code"] = pushed.Code
	}
	if response != "" {
		data["response"] = jsontext.Value(response)
	}
	envelope["data"] = data
	answer, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
