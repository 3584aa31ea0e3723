// Package cover says which media a cover image callback holds: all its images,
// usually two.
package cover

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/media"
)

type payload struct {
	Data struct {
		Images []callback.String `json:"images"`
	} `json:"data"`
}

// Spec returns the consumer's spec.
func Spec() consume.Spec {
	return consume.Spec{Type: "cover", Media: assets}
}

func assets(cb callback.Callback) ([]media.Asset, error) {
	var p payload
	if err := json.Unmarshal(cb.Body, &p); err != nil {
		return nil, fmt.Errorf("cover: read images: %w", err)
	}
	var assets []media.Asset
	for i, url := range p.Data.Images {
		if url == "" {
			continue
		}
		name := media.Image.FileName(fmt.Sprintf("image-%d", i+1), string(url), ".png")
		assets = append(assets, media.Asset{Kind: media.Image, Name: name, URLs: []string{string(url)}})
	}
	return assets, nil
}
