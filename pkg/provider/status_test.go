package provider

import (
	"fmt"
	"testing"

	"fanfare/pkg/callback"
)

// words holds every status word that a page names, others that were seen, and
// some that nobody knows; of each the stage that a task with its result is in, and
// the code.
func words() map[string]struct {
	stage callback.Stage
	code  int32
} {
	type meaning = struct {
		stage callback.Stage
		code  int32
	}
	none, complete := meaning{}, meaning{callback.Complete, 200}
	return map[string]meaning{
		`"PENDING"`:                none,
		`"GENERATING"`:             none,
		`"PENDING-2"`:              none,
		`"成功"`:                     none,
		`"success"`:                none,
		`"SUCCESS "`:               none,
		`"SUCCESSFUL"`:             none,
		`"CALLBACK_FAILED"`:        none,
		`""`:                       none,
		`"-"`:                      none,
		`"-SUCCESS"`:               none,
		`null`:                     none,
		`true`:                     none,
		`["SUCCESS"]`:              none,
		`{"status":"SUCCESS"}`:     none,
		`0`:                        none,
		`2`:                        none,
		`4`:                        none,
		`-1`:                       none,
		`1.5`:                      none,
		`"0"`:                      none,
		`"2"`:                      none,
		`"TEXT_SUCCESS"`:           {callback.Text, 200},
		`"FIRST_SUCCESS"`:          {callback.First, 200},
		`"SUCCESS"`:                complete,
		`"SUCCESS-1"`:              complete,
		`"SUCCESS-成功"`:             complete,
		`"CALLBACK_EXCEPTION"`:     complete,
		`"CALLBACK_EXCEPTION-408"`: complete,
		`1`:                        complete,
		`1.0`:                      complete,
		`"1"`:                      complete,
		`3`:                        {callback.Error, 500},
		`"3"`:                      {callback.Error, 500},
		`"FAILED"`:                 {callback.Error, 500},
		`"CREATE_TASK_FAILED"`:     {callback.Error, 500},
		`"GENERATE_AUDIO_FAILED"`:  {callback.Error, 500},
		`"GENERATE_WAV_FAILED"`:    {callback.Error, 500},
		`"GENERATE_MP4_FAILED"`:    {callback.Error, 500},
		`"GENERATE_COVER_FAILED"`:  {callback.Error, 500},
		`"SENSITIVE_WORD_ERROR"`:   {callback.Error, 400},
	}
}

func TestWordsOfAllTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for word, meaning := range words() {
		for typ, contract := range r.contracts {
			for _, member := range []string{"status", "successFlag"} {
				t.Run(fmt.Sprintf("%s %s %s", typ, member, word), func(t *testing.T) {
					t.Parallel()
					a := r.told(t, "api.kie.ai", typ, 200, record(fmt.Sprintf(`%q:%s,"response":%s`, member, word, results()[typ])))
					want := Progress
					switch {
					case meaning.stage == "", !meaning.stage.Final() && !contract.NamesStages():
						want = Running
					case meaning.stage.Final():
						want = Final
					}
					if a.Outcome != want || a.Code != 200 {
						t.Fatalf("%+v, want %s", a, want)
					}
					if cb := a.Callback; want != Running && (cb.Stage != meaning.stage || cb.Code != meaning.code) {
						t.Errorf("%s, want stage %s and code %d", cb.MessageID(), meaning.stage, meaning.code)
					}
				})
			}
		}
	}
}

// A success without its result is none yet, and progress without a track is none.
func TestWordsWithoutTheirResult(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, response := range map[string]string{
		"no response":          `"x":0`,
		"null":                 `"response":null`,
		"an empty text":        `"response":""`,
		"an empty list":        `"response":[]`,
		"an empty object":      `"response":{}`,
		"a text":               `"response":"{\"videoUrl\":\"https://h/a\"}"`,
		"a number":             `"response":7`,
		"null results":         `"response":{"sunoData":null,"audioWavUrl":null,"videoUrl":null,"images":null}`,
		"empty results":        `"response":{"sunoData":[],"audioWavUrl":"","audio_wav_url":"","videoUrl":"","images":[ ]}`,
		"results of no URL":    `"response":{"sunoData":[{"id":"a","audioUrl":"x"}],"audioWavUrl":"x","videoUrl":"x","images":["x"]}`,
		"results of no host":   `"response":{"sunoData":[{"id":"a","audioUrl":"http://"}],"audioWavUrl":"http://","videoUrl":"http://","images":["http://"]}`,
		"results of no kind":   `"response":{"sunoData":{"a":1},"audioWavUrl":7,"videoUrl":["https://h/a"],"images":{"a":"https://h/a"}}`,
		"lists of no kind":     `"response":{"sunoData":["https://h/a"],"audioWavUrl":["https://h/a"],"videoUrl":[1],"images":[{"a":"https://h/a"}]}`,
		"a placeholder":        `"response":{"sunoData":[{"id":"","audioUrl":"","duration":null}],"images":[""]}`,
		"an unfinished track":  `"response":{"sunoData":[{"id":"a","audioUrl":null,"streamAudioUrl":"https://h/s"}],"images":[null]}`,
		"the result elsewhere": `"audioWavUrl":"https://h/a","videoUrl":"https://h/a","images":["https://h/a"],"sunoData":[{"audioUrl":"https://h/a"}]`,
	} {
		for word, want := range map[string]Outcome{"SUCCESS": Incomplete, "CALLBACK_EXCEPTION": Running, "FIRST_SUCCESS": Running} {
			for typ := range r.contracts {
				a := r.told(t, "api.kie.ai", typ, 200, record(fmt.Sprintf(`"status":%q,%s`, word, response)))
				if a.Outcome != want {
					t.Errorf("%s of %s with %s: %+v, want %s", word, typ, name, a, want)
				}
			}
		}
	}
}

func TestTwoWordsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for members, want := range map[string]Outcome{
		`"status":"PENDING","successFlag":"SUCCESS"`: Final,
		`"status":200,"successFlag":1`:               Final,
		`"status":"","successFlag":0`:                Running,
		`"status":"TEXT_SUCCESS","successFlag":2`:    Progress,
		`"x":1`: Running,
	} {
		if a := r.told(t, "", "music", 200, record(members+`,"response":`+results()["music"])); a.Outcome != want {
			t.Errorf("%s: %+v, want %s", members, a, want)
		}
	}
}
