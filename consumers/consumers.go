// Package consumers lists fanfare's consumers. Each folder beside this file says
// which media a finished task of its type holds; everything else is the same for
// all of them and stands in pkg/consume.
package consumers

import (
	"fanfare/consumers/cover"
	"fanfare/consumers/music"
	"fanfare/consumers/video"
	"fanfare/consumers/wav"
	"fanfare/pkg/consume"
)

// All returns every consumer, one per callback type.
func All() []consume.Spec {
	return []consume.Spec{
		cover.Spec(),
		music.Spec(),
		video.Spec(),
		wav.Spec(),
	}
}
