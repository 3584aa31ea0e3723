package wav_test

import (
	"slices"
	"testing"

	"fanfare/consumers/wav"
	"fanfare/pkg/callback"
	"fanfare/pkg/media"
)

func TestMediaIsFoundInThreePlaces(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, data, url, file string }{
		{"camel case", `"audioWavUrl":"https://h/a.wav"`, "https://h/a.wav", "audio.wav"},
		{"snake case", `"audio_wav_url":"https://h/b.wav"`, "https://h/b.wav", "audio.wav"},
		{"in response", `"response":{"audioWavUrl":"https://h/c.wav"}`, "https://h/c.wav", "audio.wav"},
		{
			"all three, camel case first",
			`"response":{"audioWavUrl":"https://h/c"},"audio_wav_url":"https://h/b","audioWavUrl":"https://h/a"`, "https://h/a", "audio.wav",
		},
		{"snake case before response", `"audioWavUrl":"","response":{"audioWavUrl":"https://h/c"},"audio_wav_url":"https://h/b"`, "https://h/b", "audio.wav"},
		{"empty in two places", `"audioWavUrl":null,"audio_wav_url":[],"response":{"audioWavUrl":"https://h/c"}`, "https://h/c", "audio.wav"},
		{"response of another type", `"audioWavUrl":"https://h/a","response":[{"x":1}]`, "https://h/a", "audio.wav"},
		{"masked", `"audioWavUrl":"https://example.com/s/04e6****e727.wav"`, "https://example.com/s/04e6****e727.wav", "audio.wav"},
		{"another ending", `"audioWavUrl":"https://h/a.FLAC"`, "https://h/a.FLAC", "audio.flac"},
		{"no audio's ending", `"audioWavUrl":"https://h/a.html"`, "https://h/a.html", "audio.wav"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			cb, err := contracts["wav"].Decode([]byte(`{"code":200,"msg":"","data":{"task_id":"t1",` + row.data + `}}`))
			if err != nil {
				t.Fatal(err)
			}
			assets, err := wav.Spec().Media(cb)
			if err != nil {
				t.Fatal(err)
			}
			if len(assets) != 1 || assets[0].Kind != media.Audio || assets[0].Name != row.file || !slices.Equal(assets[0].URLs, []string{row.url}) {
				t.Errorf("media = %+v, want %s from %s", assets, row.file, row.url)
			}
		})
	}
}

func TestMediaOfABrokenBody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{`, `{"data":7}`, `{"data":{}}`, `{"data":{"response":7}}`, `{"data":{"audioWavUrl":"\ud800"}}`} {
		if assets, err := wav.Spec().Media(callback.Callback{Body: []byte(body)}); err == nil {
			t.Errorf("media of %q = %v, want an error", body, assets)
		}
	}
}
