// Package music says which media a music callback holds: the audio and the cover
// image of every finished track. A track is finished once it has an audio_url;
// one that is not is no failure, it comes with a later callback.
package music

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/media"
)

// maxIDBytes bounds a track's own ID where it names files; the provider's are
// UUIDs.
const maxIDBytes = 64

type payload struct {
	Data struct {
		Tracks []track `json:"data"`
	} `json:"data"`
}

type track struct {
	ID             callback.String `json:"id"`
	AudioURL       callback.String `json:"audio_url"`
	SourceAudioURL callback.String `json:"source_audio_url"`
	ImageURL       callback.String `json:"image_url"`
	SourceImageURL callback.String `json:"source_image_url"`
}

// Spec returns the consumer's spec.
func Spec() consume.Spec {
	return consume.Spec{Type: "music", Media: assets}
}

func assets(cb callback.Callback) ([]media.Asset, error) {
	var p payload
	if err := json.Unmarshal(cb.Body, &p); err != nil {
		return nil, fmt.Errorf("music: read tracks: %w", err)
	}
	var assets []media.Asset
	named := make(map[string]bool)
	for i, t := range p.Data.Tracks {
		name := t.name(i, named) // also of an unfinished one: its ID is taken for good
		if t.AudioURL == "" {
			continue
		}
		assets = append(assets, asset(media.Audio, name, ".mp3", t.AudioURL, t.SourceAudioURL))
		if t.ImageURL != "" {
			assets = append(assets, asset(media.Image, name, ".jpeg", t.ImageURL, t.SourceImageURL))
		}
	}
	return assets, nil
}

// name is what the track's files are called: by its ID, which is the same in
// every callback of the task; by its place where it has no ID of its own. The dot
// keeps the two apart, for an escaped ID has none.
func (t track) name(place int, taken map[string]bool) string {
	name := callback.Escape(string(t.ID))
	if name == "" || len(t.ID) > maxIDBytes || taken[name] {
		name = fmt.Sprintf("track.%d", place+1)
	}
	taken[name] = true
	return name
}

func asset(kind media.Kind, name, ending string, url, fallback callback.String) media.Asset {
	urls := []string{string(url)}
	if fallback != "" && fallback != url {
		urls = append(urls, string(fallback))
	}
	return media.Asset{Kind: kind, Name: kind.FileName(name, urls[0], ending), URLs: urls}
}
