package callback_test

import (
	"slices"
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

const (
	track = `"data":[{"audio_url":"https://h/a.mp3"}]`
	movie = `"video_url":"https://h/v.mp4"`
	waves = `"audioWavUrl":"https://h/a.wav"`
	cover = `"images":["https://h/i.png"]`
)

func TestStageFollowsCodeAndWord(t *testing.T) {
	t.Parallel()
	all := contracts(t)
	word64 := strings.Repeat("w", 64)
	for _, row := range []struct {
		name, code, data string
		typ              callback.Type
		want             callback.Stage
		word             string
	}{
		{"music, text", "200", `"callbackType":"text"`, "music", callback.Text, ""},
		{"music, first", "200", `"callbackType":"first",` + track, "music", callback.First, ""},
		{"music, complete", "200", `"callbackType":"complete",` + track, "music", callback.Complete, ""},
		{"music, error with a success code", "200", `"callbackType":"error"`, "music", callback.Error, ""},
		{"music, no word", "200", track, "music", callback.Complete, ""},
		{"music, word null", "200", `"callbackType":null,` + track, "music", callback.Complete, ""},
		{"music, word empty", "200", `"callbackType":"",` + track, "music", callback.Complete, ""},
		{"music, word an empty list", "200", `"callbackType":[],` + track, "music", callback.Complete, ""},
		{"music, escaped word", "200", `"callbackType":"te\u0078t"`, "music", callback.Text, ""},
		{"music, unknown word", "200", `"callbackType":"task_completed"`, "music", callback.Other, "task_completed"},
		{"music, word in capitals", "200", `"callbackType":"COMPLETE"`, "music", callback.Other, "COMPLETE"},
		{"music, word of 64", "200", `"callbackType":"` + word64 + `"`, "music", callback.Other, word64},
		{"music, the word other", "200", `"callbackType":"other"`, "music", callback.Other, "other"},
		{"music, punctuation", "200", `"callbackType":"_-"`, "music", callback.Other, "_-"},
		{"music, failure called complete", "400", `"callbackType":"complete",` + track, "music", callback.Error, ""},
		{"music, failure called text", "501", `"callbackType":"text"`, "music", callback.Error, ""},
		{"music, failure with an unknown word", "413", `"callbackType":"task_failed"`, "music", callback.Error, ""},
		{"music, failure with a bad word", "413", `"callbackType":"not a word"`, "music", callback.Error, ""},
		{"music, failure with a number for a word", "413", `"callbackType":7`, "music", callback.Error, ""},
		{"music, failure without a word", "531", ``, "music", callback.Error, ""},
		{"music, zero is a failure", "0", track, "music", callback.Error, ""},
		{"music, unknown code", "599", ``, "music", callback.Error, ""},
		{"music, 201 is a failure", "201", track, "music", callback.Error, ""},
		{"video, success", "200", movie, "video", callback.Complete, ""},
		{"video, zero is a success", "0", movie, "video", callback.Complete, ""},
		{"video, failure", "451", `"video_url":null`, "video", callback.Error, ""},
		{"video, word ignored", "200", `"callbackType":"text",` + movie, "video", callback.Complete, ""},
		{"video, word of any type ignored", "200", `"callbackType":{"a":[1]},` + movie, "video", callback.Complete, ""},
		{"wav, success", "200", waves, "wav", callback.Complete, ""},
		{"wav, zero is a failure", "0", waves, "wav", callback.Error, ""},
		{"wav, word ignored", "200", `"callbackType":"error",` + waves, "wav", callback.Complete, ""},
		{"wav, bad word ignored", "200", `"callbackType":"not a word",` + waves, "wav", callback.Complete, ""},
		{"cover, success", "200", cover, "cover", callback.Complete, ""},
		{"cover, zero is a failure", "0", cover, "cover", callback.Error, ""},
		{"cover, number for a word ignored", "200", `"callbackType":7,` + cover, "cover", callback.Complete, ""},
		{"cover, failure called complete", "500", `"callbackType":"complete"`, "cover", callback.Error, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			data := strings.TrimSuffix(`"task_id":"t1",`+row.data, ",")
			cb, err := all[row.typ].Decode([]byte(`{"code":` + row.code + `,"msg":"","data":{` + data + `}}`))
			if err != nil {
				t.Fatal(err)
			}
			if cb.Stage != row.want || cb.Word != row.word {
				t.Errorf("stage = %q, word %q; want %q, %q", cb.Stage, cb.Word, row.want, row.word)
			}
			if !slices.Contains(all[row.typ].Stages(), cb.Stage) {
				t.Errorf("stage %q is not among %v", cb.Stage, all[row.typ].Stages())
			}
		})
	}
}

func TestStageWordsThatAreRefused(t *testing.T) {
	t.Parallel()
	var rows []verdict
	for _, word := range []string{
		`"` + strings.Repeat("w", 65) + `"`, `"` + canary + ` done"`, `" text"`, `"text\n"`, `"a.b"`, `"a:b"`, `"a/b"`,
		`"*"`, `">"`, `"é"`, `"\u0000"`, `7`, `0`, `true`, `{}`, `["text"]`, `[null]`,
	} {
		rows = append(rows, verdict{word, succeeded(`,"callbackType":` + word + `,` + track), callback.ReasonSchema})
	}
	judge(t, "music", rows)
}

func TestStagesOfALife(t *testing.T) {
	t.Parallel()
	want := []callback.Stage{callback.Text, callback.First, callback.Complete, callback.Error, callback.Other}
	if got := callback.Stages(); !slices.Equal(got, want) {
		t.Errorf("Stages() = %v, want %v", got, want)
	}
	for _, stage := range callback.Stages() {
		if want := stage == callback.Complete || stage == callback.Error; stage.Final() != want {
			t.Errorf("%s.Final() = %t, want %t", stage, stage.Final(), want)
		}
	}
}
