package simulate

import (
	"crypto/sha256"
	"encoding/hex"
)

// kind is a file format that the simulator can make.
type kind int

const (
	mp3  kind = iota // music
	jpg              // images of music tracks
	mp4              // video
	riff             // WAV
	png              // cover images
)

// contentType is what the provider's host says of such a file.
func (k kind) contentType() string {
	switch k {
	case mp3:
		return "audio/mpeg"
	case jpg:
		return "image/jpeg"
	case mp4:
		return "video/mp4"
	case riff:
		return "audio/wav"
	default:
		return "image/png"
	}
}

// asset is one file that the simulator serves. Its content is a pure function
// of its seed, name and kind, and is made whenever it is asked for.
type asset struct {
	seed     uint64
	name     string // unique within a run
	kind     kind
	url      string   // where callbacks say that it is
	paths    []string // where it is served; with the query, if any; the first is the URL's
	early    bool     // callbacks of stage first offer it too
	fallback bool     // callbacks name a second URL of it
	trouble  trouble  // what is wrong with serving it
}

// content makes the file: genuine, of 4 to 64 KiB, and like no other.
func (a asset) content() ([]byte, error) {
	g := newGenerator(a.seed, "media/"+a.name)
	switch a.kind {
	case mp3:
		return makeMP3(g), nil
	case jpg:
		return makeJPEG(g)
	case mp4:
		return makeMP4(g), nil
	case riff:
		return makeWAV(g), nil
	default:
		return makePNG(g)
	}
}

// sum returns the content's SHA-256 in lower-case hexadecimal, and its size.
func (a asset) sum() (digest string, size int64, err error) {
	content, err := a.content()
	if err != nil {
		return "", 0, err
	}
	hash := sha256.Sum256(content)
	return hex.EncodeToString(hash[:]), int64(len(content)), nil
}
