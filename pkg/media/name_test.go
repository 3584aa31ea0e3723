package media

import (
	"strings"
	"testing"
)

func TestFileNameHasAnEndingOfItsKind(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		kind Kind
		url  string
		want string
	}{
		{"the URL's", Audio, "https://h/a.mp3", "x.mp3"},
		{"another of the kind", Audio, "https://h/a.flac", "x.flac"},
		{"in capitals", Image, "https://h/A.JPEG", "x.jpeg"},
		{"before a query", Video, "https://h/a.webm?Expires=1&x=.mov", "x.webm"},
		{"before a fragment", Video, "https://h/a.mov#.mp4", "x.mov"},
		{"escaped", Image, "https://h/a%2Epng", "x.png"},
		{"masked", Audio, "https://example.cn/****.mp3", "x.mp3"},
		{"the last of two", Audio, "https://h/a.png.wav", "x.wav"},
		{"of another kind", Audio, "https://h/a.png", "x.fallback"},
		{"of no kind", Image, "https://h/a.exe", "x.fallback"},
		{"one of the archive's own", Image, "https://h/a.tmp", "x.fallback"},
		{"none", Audio, "https://h/a", "x.fallback"},
		{"a full stop alone", Audio, "https://h/a.", "x.fallback"},
		{"in the folder alone", Audio, "https://h/a.mp3/b", "x.fallback"},
		{"in the host alone", Audio, "https://h.mp3", "x.fallback"},
		{"in the query alone", Audio, "https://h/a?f=a.mp3", "x.fallback"},
		{"with a slash in it", Audio, "https://h/a.mp3%2F..", "x.fallback"},
		{"no URL", Audio, "", "x.fallback"},
		{"a URL that cannot be read", Audio, "https://h/%zz.mp3", "x.fallback"},
		{"an unknown kind", Kind("text"), "https://h/a.mp3", "x.fallback"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := row.kind.FileName("x", row.url, ".fallback"); got != row.want {
				t.Errorf("FileName(%q) = %s, want %s", row.url, got, row.want)
			}
		})
	}
}

// Every ending makes a name that the archive takes.
func TestEveryEndingIsAValidName(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Audio, Image, Video} {
		for _, ending := range kind.endings() {
			name := kind.FileName(strings.Repeat("=2A", 64), "https://h/a"+ending, ".fallback")
			if asset := (Asset{Name: name, Kind: kind, URLs: []string{"https://h/a"}}); asset.validate() != nil || !strings.HasSuffix(name, ending) {
				t.Errorf("%s: %v", name, asset.validate())
			}
		}
	}
}
