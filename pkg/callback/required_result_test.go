package callback_test

import (
	"testing"

	"fanfare/pkg/callback"
)

const lacking = callback.ReasonSchema

func TestMusicNeedsATrack(t *testing.T) {
	t.Parallel()
	var rows []verdict
	for _, word := range []string{`"complete"`, `"first"`, `null`, `""`, `[]`} {
		for _, row := range []verdict{
			{"one track", track, ""},
			{"an unfinished track first", `"data":[{"audio_url":""},{"audio_url":"https://h/a.mp3"}]`, ""},
			{"null, {} and a track", `"data":[null,{},{"audio_url":null},{"audio_url":[]},{"audio_url":"https://h/a.mp3"}]`, ""},
			{"other URLs empty", `"data":[{"audio_url":"https://h/a.mp3","image_url":"","source_audio_url":null,"source_image_url":[]}]`, ""},
			{"members nobody needs", `"data":[{"audio_url":"https://h/a.mp3","id":7,"title":{},"createTime":"x","stream_audio_url":7}]`, ""},
			{"64 tracks", `"data":` + list(64, `{"audio_url":"https://h/a.mp3"}`), ""},
			{"65 tracks", `"data":` + list(65, `{"audio_url":"https://h/a.mp3"}`), lacking},
			{"65 items, one a track", `"data":[` + `{"audio_url":"https://h/a.mp3"},` + list(64, `null`)[1:], lacking},
			{"missing", `"x":0`, lacking},
			{"null", `"data":null`, lacking},
			{"empty string", `"data":""`, lacking},
			{"empty list", `"data":[]`, lacking},
			{"empty object", `"data":{}`, lacking},
			{"a track without its list", `"data":{"audio_url":"https://h/a.mp3"}`, lacking},
			{"null items", `"data":[null,null]`, lacking},
			{"tracks without audio", `"data":[{"id":"x"},{"audio_url":""},{"audio_url":null},{"audio_url":[]}]`, lacking},
			{"audio under another name", `"data":[{"source_audio_url":"https://h/a.mp3","stream_audio_url":"https://h/a"}]`, lacking},
			{"a string among the tracks", `"data":["` + canary + `",{"audio_url":"https://h/a.mp3"}]`, lacking},
			{"a list among the tracks", `"data":[[],{"audio_url":"https://h/a.mp3"}]`, lacking},
			{"a number for a URL", `"data":[{"audio_url":7},{"audio_url":"https://h/a.mp3"}]`, lacking},
			{"a list for a URL", `"data":[{"audio_url":["https://h/a.mp3"]}]`, lacking},
			{"a bad image URL", `"data":[{"audio_url":"https://h/a.mp3","image_url":"` + canary + `"}]`, lacking},
			{"a bad fallback URL", `"data":[{"audio_url":"https://h/a.mp3","source_audio_url":"ftp://h/a"}]`, lacking},
		} {
			rows = append(rows, verdict{word + " " + row.name, succeeded(`,"callbackType":` + word + `,` + row.body), row.want})
		}
	}
	judge(t, "music", rows)
}

// What a stage does not need may be anything.
func TestNoResultIsReadWhereNoneIsDue(t *testing.T) {
	t.Parallel()
	anything := []string{
		`null`, `7`, `"` + canary + `"`, `true`, `{}`, `[]`, `[null,7,"x",{}]`, `[{"audio_url":"not a URL"}]`, list(65, `{}`),
	}
	for _, typ := range contracts(t).Types() {
		var rows []verdict
		for _, value := range anything {
			data := `"task_id":"t1"`
			for _, name := range []string{"data", "video_url", "images", "audioWavUrl", "audio_wav_url", "response", "error"} {
				data += `,"` + name + `":` + value
			}
			rows = append(rows, verdict{"failure " + value, `{"code":500,"msg":"","data":{` + data + `,"callbackType":` + value + `}}`, ""})
			if typ == "music" {
				for _, word := range []string{"text", "error", "elsewhere"} {
					rows = append(rows, verdict{word + " " + value, `{"code":200,"msg":"","data":{` + data + `,"callbackType":"` + word + `"}}`, ""})
				}
			}
		}
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			judge(t, typ, rows)
		})
	}
}

func TestVideoNeedsItsURL(t *testing.T) {
	t.Parallel()
	var rows []verdict
	for _, code := range []string{"200", "0", "-0.0", "2e2"} {
		for _, row := range []verdict{
			{"URL", `,` + movie, ""},
			{"missing", ``, lacking},
			{"null", `,"video_url":null`, lacking},
			{"empty", `,"video_url":""`, lacking},
			{"empty list", `,"video_url":[]`, lacking},
			{"a list", `,"video_url":["https://h/v.mp4"]`, lacking},
			{"an object", `,"video_url":{}`, lacking},
			{"a number", `,"video_url":7`, lacking},
			{"another spelling", `,"videoUrl":"https://h/v.mp4"`, lacking},
			{"a bad URL", `,"video_url":"` + canary + `"`, lacking},
		} {
			rows = append(rows, verdict{code + " " + row.name, `{"code":` + code + `,"msg":"","data":{"task_id":"t1"` + row.body + `}}`, row.want})
		}
	}
	judge(t, "video", rows)
}

func TestWavNeedsItsURLInOneOfThreePlaces(t *testing.T) {
	t.Parallel()
	rows := []verdict{
		{"camel case", `,` + waves, ""},
		{"snake case", `,"audio_wav_url":"https://h/a.wav"`, ""},
		{"in response", `,"response":{"audioWavUrl":"https://h/a.wav"}`, ""},
		{"in all three", `,"audioWavUrl":"https://h/a","audio_wav_url":"https://h/b","response":{"audioWavUrl":"https://h/c"}`, ""},
		{"null, empty, and in response", `,"audioWavUrl":null,"audio_wav_url":"","response":{"audioWavUrl":"https://h/c"}`, ""},
		{"empty list, and in snake case", `,"audioWavUrl":[],"audio_wav_url":"https://h/b","response":null`, ""},
		{"response a text", `,` + waves + `,"response":"` + canary + `"`, ""},
		{"response a list", `,` + waves + `,"response":[1]`, ""},
		{"response without it", `,` + waves + `,"response":{"x":1}`, ""},
		{"missing", ``, lacking},
		{"null", `,"audioWavUrl":null`, lacking},
		{"empty", `,"audioWavUrl":""`, lacking},
		{"empty list", `,"audioWavUrl":[]`, lacking},
		{"nothing in all three", `,"audioWavUrl":null,"audio_wav_url":"","response":{"audioWavUrl":[]}`, lacking},
		{"response empty", `,"response":{}`, lacking},
		{"response null", `,"response":null`, lacking},
		{"response a URL", `,"response":"https://h/a.wav"`, lacking},
		{"response a list of it", `,"response":[{"audioWavUrl":"https://h/a.wav"}]`, lacking},
		{"a list", `,"audioWavUrl":["https://h/a.wav"]`, lacking},
		{"a number", `,"audioWavUrl":7`, lacking},
		{"a bad URL", `,"audioWavUrl":"` + canary + `"`, lacking},
		{"a bad URL in snake case", `,"audio_wav_url":"` + canary + `"`, lacking},
		{"a bad URL in response", `,"response":{"audioWavUrl":"` + canary + `"}`, lacking},
		{"a good URL and a bad one", `,` + waves + `,"audio_wav_url":"` + canary + `"`, lacking},
	}
	for i := range rows {
		rows[i].body = succeeded(rows[i].body)
	}
	judge(t, "wav", rows)
}

func TestCoverNeedsAnImage(t *testing.T) {
	t.Parallel()
	rows := []verdict{
		{"one", `,` + cover, ""},
		{"nothing beside it", `,"images":[null,"",[],"https://h/i.png"]`, ""},
		{"64", `,"images":` + list(64, `"https://h/i.png"`), ""},
		{"65", `,"images":` + list(65, `"https://h/i.png"`), lacking},
		{"65, most of them null", `,"images":["https://h/i.png",` + list(64, `null`)[1:], lacking},
		{"missing", ``, lacking},
		{"null", `,"images":null`, lacking},
		{"empty", `,"images":""`, lacking},
		{"empty list", `,"images":[]`, lacking},
		{"no item is something", `,"images":[null,"",[]]`, lacking},
		{"not a list", `,"images":"https://h/i.png"`, lacking},
		{"an object", `,"images":{"0":"https://h/i.png"}`, lacking},
		{"a number among them", `,"images":["https://h/i.png",7]`, lacking},
		{"an object among them", `,"images":["https://h/i.png",{"url":"https://h/i.png"}]`, lacking},
		{"a list among them", `,"images":["https://h/i.png",["https://h/i.png"]]`, lacking},
		{"a bad URL among them", `,"images":["https://h/i.png","` + canary + `"]`, lacking},
	}
	for i := range rows {
		rows[i].body = succeeded(rows[i].body)
	}
	judge(t, "cover", rows)
}
