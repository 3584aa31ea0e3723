package simulate

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"fanfare/pkg/callback"
)

// track is one of a music task's tracks; what it says is the same in every
// stage, only that some of it is not yet there.
type track struct {
	id, title, prompt, tags, model string

	audio, stream, image                   string
	sourceAudio, sourceStream, sourceImage string // "" where the provider leaves the sources out

	created  any
	duration number
}

// drawTracks draws the tracks with their files. All have their title and lyrics
// in common.
func (c *composer) drawTracks() {
	shared := track{
		title:   pick(c.generator, titles()...),
		prompt:  pick(c.generator, prompts()...),
		tags:    pick(c.generator, "relaxing, soft, piano-driven, calm", "Jazz", "电子, 轻快", ""),
		model:   pick(c.generator, "chirp-v3-5", "chirp-auk", "chirp-bluejay"),
		created: c.drawTime(),
	}
	sources := c.chance(60)
	for i := range c.outline.flavour.tracks {
		t := shared
		t.id = c.uuid()
		t.duration = c.drawDuration()
		c.offerTrack(&t, i+1, sources)
		c.tracks = append(c.tracks, t)
	}
}

// offerTrack puts a track's files at the provider's own paths: named by the
// encoded track ID, the stream without an ending, the sources elsewhere.
func (c *composer) offerTrack(t *track, n int, sources bool) {
	name := "/r/" + base64.StdEncoding.EncodeToString([]byte(t.id))
	source := "/" + t.id + ".mp3"
	sourceStream := "/?item_id=" + t.id
	sourceImage := "/image_" + t.id + ".jpeg"
	t.audio = c.offer(fmt.Sprintf("audio-%d", n), mp3, name+".mp3", name, source, sourceStream)
	t.image = c.offer(fmt.Sprintf("image-%d", n), jpg, name+".jpeg", sourceImage)
	for i := range c.assets[len(c.assets)-2:] {
		a := &c.assets[len(c.assets)-2+i]
		a.early, a.fallback = n == 1 && len(c.outline.flavour.progress) > 0, sources
	}
	t.stream = c.plan.mediaURL + name
	if sources {
		t.sourceAudio = c.plan.mediaURL + source
		t.sourceStream = c.plan.mediaURL + sourceStream
		t.sourceImage = c.plan.mediaURL + sourceImage
	}
}

// drawTime draws a createTime: milliseconds as in captured callbacks, or a text
// as on the pages.
func (c *composer) drawTime() any {
	at := time.UnixMilli(1_758_000_000_000 + c.Int64N(30_000_000_000)).UTC()
	switch n := c.IntN(10); {
	case n < 5:
		return integer(at.UnixMilli())
	case n < 9:
		return at.Format(time.DateTime)
	default:
		return strconv.FormatInt(at.UnixMilli(), 10)
	}
}

func (c *composer) drawDuration() number {
	if c.chance(30) {
		return integer(60 + c.IntN(200))
	}
	return number(strconv.FormatFloat(float64(6000+c.IntN(20000))/100, 'f', -1, 64))
}

// musicData writes the data of a music callback.
func (c *composer) musicData(call call) object {
	data := append(object{{"callbackType", string(call.stage)}}, c.taskIDs()...)
	switch call.stage {
	case callback.Error:
		return c.musicFailure(data)
	case callback.Text:
		return append(data, member{"data", c.textTracks()})
	case callback.First:
		return append(data, member{"data", c.firstTracks()})
	default:
		tracks := list{}
		for _, t := range c.tracks {
			tracks = append(tracks, c.finished(t))
		}
		return append(data, member{"data", tracks})
	}
}

// musicFailure writes what failures have for tracks: null, an empty list,
// nothing, or a sentence instead.
func (c *composer) musicFailure(data object) object {
	if c.chance(10) {
		data[0].value = string(callback.Complete) // the code decides, whatever this says
	}
	switch c.IntN(4) {
	case 0:
		return append(data, member{"data", nil})
	case 1:
		return append(data, member{"data", list{}})
	case 2:
		return append(data, member{"error", "Generation failed due to technical issues"})
	default:
		return data
	}
}

func (c *composer) textTracks() list {
	tracks := list{}
	if c.chance(25) {
		for _, t := range c.tracks {
			tracks = append(tracks, c.announced(t))
		}
	}
	return tracks
}

// firstTracks writes the first track, alone or with the second one still empty.
func (c *composer) firstTracks() list {
	tracks := list{c.finished(c.tracks[0])}
	if c.chance(60) {
		for _, t := range c.tracks[1:] {
			tracks = append(tracks, c.rendering(t))
		}
	}
	return tracks
}

// finished writes a track that can be had.
func (c *composer) finished(t track) object {
	o := object{{"id", t.id}, {"audio_url", t.audio}}
	o = c.source(o, "source_audio_url", t.sourceAudio)
	o = append(o, member{"stream_audio_url", t.stream})
	o = c.source(o, "source_stream_audio_url", t.sourceStream)
	o = append(o, member{"image_url", t.image})
	o = c.source(o, "source_image_url", t.sourceImage)
	return append(c.described(o, t), member{"duration", t.duration})
}

// rendering writes a track that can be listened to but is not finished.
func (c *composer) rendering(t track) object {
	o := c.unset(object{{"id", t.id}}, "audio_url")
	o = append(o, member{"stream_audio_url", t.stream})
	o = c.source(o, "source_stream_audio_url", t.sourceStream)
	o = append(o, member{"image_url", t.image})
	o = c.source(o, "source_image_url", t.sourceImage)
	return c.unset(c.described(o, t), "duration")
}

// announced writes a track of which there is no more than its words.
func (c *composer) announced(t track) object {
	o := object{{"id", t.id}}
	for _, name := range []string{"audio_url", "stream_audio_url", "image_url", "duration"} {
		o = c.unset(o, name)
	}
	return c.described(o, t)
}

func (c *composer) source(o object, name, url string) object {
	if url == "" {
		return o
	}
	return append(o, member{name, url})
}

func (c *composer) described(o object, t track) object {
	o = append(o, member{"prompt", t.prompt}, member{"model_name", t.model}, member{"title", t.title})
	if c.outline.flavour.name != "add-vocals" { // whose page shows none
		o = append(o, member{"tags", t.tags})
	}
	return append(o, member{"createTime", t.created})
}
