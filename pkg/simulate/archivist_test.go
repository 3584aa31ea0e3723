package simulate

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/media"
	"fanfare/pkg/result"
)

// mostTries is more than any fault that passes takes.
const mostTries = 20

// newFetcher returns what downloads from the simulator alone.
func newFetcher(t *testing.T, s *Simulator) *media.Fetcher {
	t.Helper()
	fetcher, err := media.NewFetcher(media.FetcherOptions{EgressAllow: []string{s.MediaAddr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fetcher.Close)
	return fetcher
}

// fetch archives the document's media: what fails is tried again, unless that is
// pointless; then the callback becomes a dead letter.
func (rcv *receiver) fetch(doc result.Document, assets []media.Asset) result.Document {
	if len(assets) == 0 {
		return doc
	}
	lost := false
	doc.Media = slices.Clone(doc.Media) // of which the records have the other
	for i, asset := range assets {
		file, err := rcv.insist(doc.Key(asset.Name), asset)
		var failure *media.FetchError
		switch {
		case err == nil:
			m := &doc.Media[i]
			m.Key, m.Bytes, m.SHA256, m.ContentType = file.Key, file.Bytes, file.SHA256, file.ContentType
		case errors.As(err, &failure):
			lost = true
			doc.Media[i].Error = string(failure.Reason)
		default:
			rcv.t.Errorf("%s: %v", asset.URLs[0], err)
		}
	}
	doc.Settle(time.Now())
	if lost {
		rcv.records.giveUp(DeadLetter{Type: doc.Type, TaskID: doc.TaskID, Stage: doc.Stage, Reason: permanent})
	}
	return doc
}

func (rcv *receiver) insist(key string, asset media.Asset) (file media.File, err error) {
	ctx := rcv.t.Context()
	for range mostTries {
		var failure *media.FetchError
		file, err = rcv.archive.Store(ctx, rcv.fetcher, key, asset, nil)
		if err == nil || !errors.As(err, &failure) || failure.Permanent() || !pause(ctx, 10*time.Millisecond) {
			break
		}
	}
	return file, err
}

// mediaOf names a callback's files.
func mediaOf(cb callback.Callback, data map[string]any) []media.Asset {
	var assets []media.Asset
	add := func(kind media.Kind, urls ...any) {
		asset := media.Asset{Name: fmt.Sprint(len(assets)), Kind: kind}
		for _, value := range urls {
			if url, _ := value.(string); url != "" {
				asset.URLs = append(asset.URLs, url)
			}
		}
		if len(asset.URLs) > 0 {
			assets = append(assets, asset)
		}
	}
	if cb.Stage == callback.Error || cb.Stage == callback.Text {
		return nil
	}
	tracks, _ := data["data"].([]any)
	for _, item := range tracks {
		if track, _ := item.(map[string]any); something(track["audio_url"]) {
			add(media.Audio, track["audio_url"], track["source_audio_url"])
			add(media.Image, track["image_url"], track["source_image_url"])
		}
	}
	images, _ := data["images"].([]any)
	for _, image := range images {
		add(media.Image, image)
	}
	response, _ := data["response"].(map[string]any)
	add(media.Video, data["video_url"])
	for _, value := range []any{data["audioWavUrl"], data["audio_wav_url"], response["audioWavUrl"]} {
		add(media.Audio, value)
	}
	return assets
}

// openFetcher returns what downloads from any address.
func openFetcher(t *testing.T) *media.Fetcher {
	t.Helper()
	fetcher, err := media.NewFetcher(media.FetcherOptions{EgressAllow: []string{"0.0.0.0/0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fetcher.Close)
	return fetcher
}
