package media

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// FileName returns base with the ending that the URL's path has, if files of
// this kind usually have it, and with fallback otherwise.
func (k Kind) FileName(base, rawURL, fallback string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return base + fallback
	}
	if ending := strings.ToLower(path.Ext(u.Path)); slices.Contains(k.endings(), ending) {
		return base + ending
	}
	return base + fallback
}

func (k Kind) endings() []string {
	switch k {
	case Audio:
		return []string{".mp3", ".wav", ".flac", ".ogg", ".m4a"}
	case Image:
		return []string{".png", ".jpeg", ".jpg", ".webp", ".gif"}
	case Video:
		return []string{".mp4", ".webm", ".mov"}
	default:
		return nil
	}
}
