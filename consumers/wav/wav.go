// Package wav says which media a WAV conversion callback holds: one WAV file,
// whose URL the provider puts in one of three places.
package wav

import (
	"cmp"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/media"
)

type payload struct {
	Data struct {
		AudioWavURL      callback.String `json:"audioWavUrl"`
		AudioWavURLSnake callback.String `json:"audio_wav_url"`
		Response         jsontext.Value  `json:"response"` // anything, where the URL stands elsewhere
	} `json:"data"`
}

// Spec returns the consumer's spec.
func Spec() consume.Spec {
	return consume.Spec{Type: "wav", Media: assets}
}

func assets(cb callback.Callback) ([]media.Asset, error) {
	var p payload
	if err := json.Unmarshal(cb.Body, &p); err != nil {
		return nil, fmt.Errorf("wav: read URL: %w", err)
	}
	url := string(cmp.Or(p.Data.AudioWavURL, p.Data.AudioWavURLSnake))
	if url == "" {
		var response struct {
			AudioWavURL callback.String `json:"audioWavUrl"`
		}
		if err := json.Unmarshal(p.Data.Response, &response); err != nil {
			return nil, fmt.Errorf("wav: read URL in response: %w", err)
		}
		url = string(response.AudioWavURL)
	}
	return []media.Asset{{Kind: media.Audio, Name: media.Audio.FileName("audio", url, ".wav"), URLs: []string{url}}}, nil
}
