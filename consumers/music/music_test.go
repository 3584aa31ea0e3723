package music_test

import (
	"slices"
	"testing"

	"fanfare/consumers/music"
	"fanfare/pkg/callback"
	"fanfare/pkg/media"
	"fanfare/schemas"
)

const (
	firstID  = "0f1c4a9e-5f0e-4a5c-9c58-0d2f0b7c1a11"
	secondID = "9a0d6d3b-1c77-4a0e-8a3e-5b9e4a1c2b22"
)

func contract(tb testing.TB) *callback.Contract {
	tb.Helper()
	contracts, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	return contracts["music"]
}

// found returns the media of a body that the gateway lets pass.
func found(tb testing.TB, c *callback.Contract, body []byte) []media.Asset {
	tb.Helper()
	cb, err := c.Decode(body)
	if err != nil {
		tb.Fatalf("%v\n%s", err, body)
	}
	assets, err := music.Spec().Media(cb)
	if err != nil {
		tb.Fatalf("%v\n%s", err, body)
	}
	return assets
}

func withTracks(tracks string) []byte {
	return []byte(`{"code":200,"msg":"","data":{"task_id":"t1","callbackType":"complete","data":` + tracks + `}}`)
}

func audio(name string, urls ...string) media.Asset {
	return media.Asset{Kind: media.Audio, Name: name, URLs: urls}
}

func image(name string, urls ...string) media.Asset {
	return media.Asset{Kind: media.Image, Name: name, URLs: urls}
}

func equal(a, b media.Asset) bool {
	return a.Name == b.Name && a.Kind == b.Kind && slices.Equal(a.URLs, b.URLs)
}

func TestMediaOfExamples(t *testing.T) {
	t.Parallel()
	c := contract(t)
	first := []media.Asset{
		audio(firstID+".mp3", "https://example.com/r/first.mp3", "https://example.com/source/first.mp3"),
		image(firstID+".jpeg", "https://example.com/r/first.jpeg"),
	}
	for name, want := range map[string][]media.Asset{
		"generate-text":  nil,
		"generate-first": first, // the second track is not finished
		"generate-complete": append(slices.Clone(first),
			audio(secondID+".mp3", "https://example.com/r/second.mp3"),
			image(secondID+".jpeg", "https://example.com/r/second.jpeg")),
		"replace-section-complete": {
			audio("e231=2A=2A=2A=2A-=2A=2A=2A=2A-=2A=2A=2A=2A-=2A=2A=2A=2A-=2A=2A=2A=2A8cadc7dc.mp3", "https://example.cn/****.mp3"),
			image("e231=2A=2A=2A=2A-=2A=2A=2A=2A-=2A=2A=2A=2A-=2A=2A=2A=2A-=2A=2A=2A=2A8cadc7dc.jpeg", "https://example.cn/****.jpeg"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := schemas.Files.ReadFile("examples/music/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if got := found(t, c, body); !slices.EqualFunc(got, want, equal) {
				t.Errorf("media = %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestMediaOfTracks(t *testing.T) {
	t.Parallel()
	c := contract(t)
	for _, row := range []struct {
		name, tracks string
		want         []media.Asset
	}{
		{
			"unfinished tracks are skipped",
			`[null,{},{"id":"x","image_url":"https://h/x.png"},{"id":"y","audio_url":[]},{"id":"z","audio_url":"https://h/z"}]`,
			[]media.Asset{audio("z.mp3", "https://h/z")},
		},
		{
			"the fallback comes second",
			`[{"id":"a","source_audio_url":"https://h/s.mp3","audio_url":"https://h/a.mp3","source_image_url":"https://h/s.png","image_url":"https://h/a.png"}]`,
			[]media.Asset{audio("a.mp3", "https://h/a.mp3", "https://h/s.mp3"), image("a.png", "https://h/a.png", "https://h/s.png")},
		},
		{
			"a fallback that is the same is none",
			`[{"id":"a","source_audio_url":"https://h/a.mp3","audio_url":"https://h/a.mp3"}]`,
			[]media.Asset{audio("a.mp3", "https://h/a.mp3")},
		},
		{
			"an empty fallback is none",
			`[{"id":"a","source_audio_url":"","audio_url":"https://h/a.mp3","source_image_url":null,"image_url":[]}]`,
			[]media.Asset{audio("a.mp3", "https://h/a.mp3")},
		},
		{
			"a source image alone is no image",
			`[{"id":"a","audio_url":"https://h/a.mp3","source_image_url":"https://h/a.png"}]`,
			[]media.Asset{audio("a.mp3", "https://h/a.mp3")},
		},
		{
			"the name has the ending of the first URL",
			`[{"id":"a","audio_url":"https://h/a.WAV?x=.mp3","source_audio_url":"https://h/a.ogg","image_url":"https://h/a.exe"}]`,
			[]media.Asset{audio("a.wav", "https://h/a.WAV?x=.mp3", "https://h/a.ogg"), image("a.jpeg", "https://h/a.exe")},
		},
		{
			"an ID of another type is none",
			`[{"id":7,"audio_url":"https://h/a"},{"id":{"x":1},"audio_url":"https://h/b"},{"id":[],"audio_url":"https://h/c"}]`,
			[]media.Asset{audio("track.1.mp3", "https://h/a"), audio("track.2.mp3", "https://h/b"), audio("track.3.mp3", "https://h/c")},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := found(t, c, withTracks(row.tracks)); !slices.EqualFunc(got, row.want, equal) {
				t.Errorf("media = %+v\nwant %+v", got, row.want)
			}
		})
	}
}

func TestMediaOfABrokenBody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{`, `{"data":7}`, `{"data":{"data":[7]}}`, `{"data":{"data":{}}}`} {
		if assets, err := music.Spec().Media(callback.Callback{Body: []byte(body)}); err == nil {
			t.Errorf("media of %q = %v, want an error", body, assets)
		}
	}
}
