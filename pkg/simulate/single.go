package simulate

import "fmt"

// drawImages draws a cover task's images: two as a rule.
func (c *composer) drawImages() {
	for i := range pick(c.generator, 1, 2, 2, 2, 3) {
		path := fmt.Sprintf("/s/%d_%s.png", 1_758_000_000+c.IntN(30_000_000), c.hex(32))
		c.urls = append(c.urls, c.offer(fmt.Sprintf("image-%d", i+1), png, path))
	}
}

// mediaData writes the data of a finished video, WAV or cover task.
func (c *composer) mediaData() object {
	switch c.outline.flavour.typ {
	case video:
		return append(c.taskIDs(), member{"video_url", c.urls[0]})
	case wav:
		return c.wavData()
	default:
		images := list{}
		for _, url := range c.urls {
			images = append(images, url)
		}
		return append(object{{"images", images}}, c.taskIDs()...)
	}
}

// wavData puts the URL in one of the three places where it has been seen, now
// and then with another place present but empty.
func (c *composer) wavData() object {
	data := c.taskIDs()
	switch c.IntN(3) {
	case 0:
		return append(object{{"audioWavUrl", c.urls[0]}}, data...)
	case 1:
		return append(c.unset(object{}, "audioWavUrl"), append(data, member{"audio_wav_url", c.urls[0]})...)
	default:
		data = c.unset(data, "audioWavUrl")
		return append(data, member{"response", object{{"audioWavUrl", c.urls[0]}}})
	}
}

// emptyData writes the data of a failed video, WAV or cover task.
func (c *composer) emptyData() object {
	data := c.taskIDs()
	switch c.outline.flavour.typ {
	case video:
		return c.unset(data, "video_url")
	case wav:
		return c.unset(data, pick(c.generator, "audioWavUrl", "audio_wav_url"))
	default:
		return c.unset(data, "images")
	}
}
