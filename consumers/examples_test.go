package consumers_test

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"fanfare/consumers"
	"fanfare/pkg/callback"
	"fanfare/schemas"
)

// A callback that offers media offers files that the archive can name and
// fetch, whatever its type.
func TestEveryExampleWithAResultHasMedia(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range consumers.All() {
		names, err := fs.Glob(schemas.Files, "examples/"+string(spec.Type)+"/*.json")
		if err != nil || len(names) == 0 {
			t.Errorf("type %s has no examples: %v", spec.Type, err)
		}
		for _, name := range names {
			t.Run(string(spec.Type)+"/"+path.Base(name), func(t *testing.T) {
				t.Parallel()
				body, err := schemas.Files.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				cb, err := contracts[spec.Type].Decode(body)
				if err != nil {
					t.Fatal(err)
				}
				if cb.Stage != callback.First && cb.Stage != callback.Complete {
					return // the runner does not ask for its media
				}
				assets, err := spec.Media(cb)
				if err != nil || len(assets) == 0 {
					t.Fatalf("media = %v, %v; want some", assets, err)
				}
				var files []string
				for _, asset := range assets {
					files = append(files, asset.Name)
					if len(asset.URLs) == 0 || slices.Contains(asset.URLs, "") || !strings.Contains(string(body), asset.URLs[0]) {
						t.Errorf("%s is to be had at %q", asset.Name, asset.URLs)
					}
				}
				if slices.Sort(files); len(slices.Compact(files)) != len(assets) {
					t.Errorf("files %v share a name", files)
				}
			})
		}
	}
}
