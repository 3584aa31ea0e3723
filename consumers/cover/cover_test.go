package cover_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fanfare/consumers/cover"
	"fanfare/pkg/callback"
	"fanfare/pkg/media"
)

func TestMediaAreTheImages(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, images string
		want         []string // file and URL
	}{
		{"one", `["https://h/a.png"]`, []string{"image-1.png https://h/a.png"}},
		{"two", `["https://h/a.png","https://h/b.png"]`, []string{"image-1.png https://h/a.png", "image-2.png https://h/b.png"}},
		{"one URL twice", `["https://h/a.png","https://h/a.png"]`, []string{"image-1.png https://h/a.png", "image-2.png https://h/a.png"}},
		{"endings", `["https://h/a.JPG?x","https://h/b","https://h/c.webp"]`, []string{"image-1.jpg https://h/a.JPG?x", "image-2.png https://h/b", "image-3.webp https://h/c.webp"}},
		{"nothing keeps its number", `[null,"https://h/a.png","",[],"https://h/b.png"]`, []string{"image-2.png https://h/a.png", "image-5.png https://h/b.png"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			cb, err := contracts["cover"].Decode([]byte(`{"code":200,"msg":"","data":{"taskId":"t1","images":` + row.images + `}}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := found(t, cb); !slices.Equal(got, row.want) {
				t.Errorf("media = %q, want %q", got, row.want)
			}
		})
	}
}

// found returns file and URL of every image.
func found(t *testing.T, cb callback.Callback) []string {
	t.Helper()
	assets, err := cover.Spec().Media(cb)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, asset := range assets {
		if asset.Kind != media.Image || len(asset.URLs) != 1 {
			t.Errorf("%s is %s with URLs %q", asset.Name, asset.Kind, asset.URLs)
		}
		files = append(files, asset.Name+" "+strings.Join(asset.URLs, " "))
	}
	return files
}

func TestSixtyFourImagesHaveSixtyFourNames(t *testing.T) {
	t.Parallel()
	body := fmt.Sprintf(`{"data":{"images":[%s]}}`, strings.TrimSuffix(strings.Repeat(`"https://h/a.png",`, 64), ","))
	files := found(t, callback.Callback{Body: []byte(body)})
	if slices.Sort(files); len(slices.Compact(files)) != 64 {
		t.Errorf("%d files, some of one name: %q", len(files), files)
	}
}

func TestMediaOfABrokenBody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{`, `{"data":7}`, `{"data":{"images":7}}`} {
		if assets, err := cover.Spec().Media(callback.Callback{Body: []byte(body)}); err == nil {
			t.Errorf("media of %q = %v, want an error", body, assets)
		}
	}
}
