package media

import (
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// sniffBytes is how much of a file's beginning tells its type.
const sniffBytes = 3072

// contentTypes lists, per kind, the content types that count as it. MP4, WebM
// and Ogg may hold sound alone, and many encoders do not mark that.
func contentTypes(kind Kind) []string {
	switch kind {
	case Audio:
		return []string{
			"audio/mpeg", "audio/wav", "audio/flac", "audio/ogg", "application/ogg", "audio/mp4", "audio/x-m4a",
			"audio/aac", "audio/aiff", "video/mp4", "video/webm",
		}
	case Image:
		return []string{"image/png", "image/apng", "image/jpeg", "image/webp", "image/gif", "image/avif"}
	case Video:
		return []string{"video/mp4", "video/x-m4v", "video/webm", "video/quicktime", "video/matroska"}
	default:
		return nil
	}
}

// contentType returns the content type of a file that begins with head.
func contentType(head []byte) string {
	mime, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	return mime
}

func isKind(mime string, kind Kind) bool {
	return slices.Contains(contentTypes(kind), mime)
}
