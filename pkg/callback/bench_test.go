package callback_test

import (
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

func BenchmarkDecode(b *testing.B) {
	verse := strings.Repeat(`The lanterns drift along the bay, and nobody is awake\n`, 20)
	tracks := list(2, `{"audio_url":"https://example.com/r/first.mp3","createTime":1758044664461,"duration":163.88,`+
		`"id":"0f1c4a9e-5f0e-4a5c-9c58-0d2f0b7c1a11","image_url":"https://example.com/r/first.jpeg",`+
		`"model_name":"chirp-v3-5","prompt":"`+verse+`","tags":"calm","title":"Lanterns"}`)
	for _, row := range []struct {
		name string
		typ  callback.Type
		body []byte
	}{
		{"small error", "video", example(b, "examples/video/error-bad-request.json")},
		{"small complete", "wav", example(b, "examples/wav/complete.json")},
		{"3 KB music complete", "music", []byte(succeeded(`,"callbackType":"complete","data":` + tracks))},
		{"64 tracks", "music", []byte(succeeded(`,"data":` + list(64, `{"audio_url":"https://example.com/r/first.mp3"}`)))},
		{"256 KiB of an unknown member", "music", []byte(failed(`,"x":"` + strings.Repeat("x", 256<<10) + `"`))},
	} {
		b.Run(row.name, func(b *testing.B) {
			c := contract(b, row.typ)
			b.ReportAllocs()
			b.SetBytes(int64(len(row.body)))
			for b.Loop() {
				if _, err := c.Decode(row.body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
