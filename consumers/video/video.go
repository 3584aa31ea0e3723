// Package video says which media a music video callback holds: one MP4 file.
package video

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/media"
)

type payload struct {
	Data struct {
		VideoURL callback.String `json:"video_url"`
	} `json:"data"`
}

// Spec returns the consumer's spec.
func Spec() consume.Spec {
	return consume.Spec{Type: "video", Media: assets}
}

func assets(cb callback.Callback) ([]media.Asset, error) {
	var p payload
	if err := json.Unmarshal(cb.Body, &p); err != nil {
		return nil, fmt.Errorf("video: read URL: %w", err)
	}
	url := string(p.Data.VideoURL)
	return []media.Asset{{Kind: media.Video, Name: media.Video.FileName("video", url, ".mp4"), URLs: []string{url}}}, nil
}
