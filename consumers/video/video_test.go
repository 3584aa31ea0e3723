package video_test

import (
	"slices"
	"testing"

	"fanfare/consumers/video"
	"fanfare/pkg/callback"
	"fanfare/pkg/media"
)

func TestMediaIsOneMovie(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, code, url, file string }{
		{"code 200", "200", "https://h/v.mp4", "video.mp4"},
		{"code 0", "0", "https://h/v.mp4", "video.mp4"},
		{"another ending", "200", "https://h/v.WebM?Expires=1", "video.webm"},
		{"no ending", "200", "https://h/v", "video.mp4"},
		{"no video's ending", "200", "https://h/v.mp3", "video.mp4"},
		{"no path", "200", "https://h.mov", "video.mp4"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			cb, err := contracts["video"].Decode([]byte(`{"code":` + row.code + `,"msg":"","data":{"task_id":"t1","video_url":"` + row.url + `"}}`))
			if err != nil {
				t.Fatal(err)
			}
			assets, err := video.Spec().Media(cb)
			if err != nil {
				t.Fatal(err)
			}
			if len(assets) != 1 || assets[0].Kind != media.Video || assets[0].Name != row.file || !slices.Equal(assets[0].URLs, []string{row.url}) {
				t.Errorf("media = %+v, want %s from %s", assets, row.file, row.url)
			}
		})
	}
}

func TestMediaOfABrokenBody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{`, `{"data":7}`, `{"data":{"video_url":"\ud800"}}`} {
		if assets, err := video.Spec().Media(callback.Callback{Body: []byte(body)}); err == nil {
			t.Errorf("media of %q = %v, want an error", body, assets)
		}
	}
}
