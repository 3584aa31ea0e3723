package simulate

import (
	"fmt"
	"net/http"

	"fanfare/pkg/callback"
)

// details writes what a details endpoint says of a task that stands so. Whoever reads
// it well makes of it the callback that the task has for that.
func (c *composer) details(e endpoint, at standing) object {
	code := int32(http.StatusOK)
	if at.final() && at.call.stage == callback.Complete {
		code = at.call.code
	}
	data := append(object{{"taskId", string(c.outline.id)}}, c.circumstances()...)
	data = append(data, member{"response", c.response(e, at)})
	data = append(data, c.verdict(at)...)
	return object{
		{"code", c.spelt(code)},
		{"msg", pick(c.generator, "success", "success", "成功")},
		{"data", data},
	}
}

// spelt is a number, now and then in quotes.
func (c *composer) spelt(n int32) any {
	if c.chance(15) {
		return fmt.Sprint(n)
	}
	return integer(n)
}

// circumstances writes what nobody needs to know.
func (c *composer) circumstances() object {
	o := object{{"createTime", c.drawTime()}}
	switch c.outline.flavour.typ {
	case music:
		return append(o, member{"parentMusicId", ""}, member{"param", `{"prompt":"A slow piano piece","callBackUrl":"https://your.host/callbacks/music"}`},
			member{"operationType", c.outline.flavour.name}, member{"type", pick[any](c.generator, "chirp-v3-5", nil)})
	case cover:
		return append(o, member{"parentTaskId", c.hex(32)}, member{"completeTime", nil})
	default:
		return append(o, member{"musicId", c.uuid()}, member{"callbackUrl", "https://your.host/callbacks"}, member{"completeTime", c.drawTime()})
	}
}

// response writes what there is of the result.
func (c *composer) response(e endpoint, at standing) any {
	if at.begun && at.call.stage == callback.Error || !at.begun && c.outline.flavour.typ != music {
		return pick[any](c.generator, nil, object{}, object{{e.from[0], nil}})
	}
	o := object{}
	if len(e.from) > 1 && c.chance(50) {
		o = c.unset(o, e.from[1])
		return append(o, member{e.from[0], c.result(e, at)})
	}
	name := pick(c.generator, e.from...)
	for _, other := range e.from {
		if other != name {
			o = c.unset(o, other)
		}
	}
	return append(append(o, member{"taskId", string(c.outline.id)}), member{name, c.result(e, at)})
}

// result writes the result as far as it is there.
func (c *composer) result(e endpoint, at standing) any {
	switch c.outline.flavour.typ {
	case music:
		return c.renamed(e, c.tracksAt(at))
	case cover:
		images := list{}
		for _, url := range c.urls {
			images = append(images, url)
		}
		return images
	default:
		return c.urls[0]
	}
}

// tracksAt writes the tracks as callbacks have them. A task that has just begun may
// have one that is none.
func (c *composer) tracksAt(at standing) list {
	switch {
	case !at.begun:
		return pick(c.generator, nil, list{}, list{object{{"id", ""}, {"audio_url", ""}, {"duration", nil}, {"title", c.tracks[0].title}}})
	case at.call.stage == callback.Text:
		return c.textTracks()
	case at.call.stage == callback.First:
		return c.firstTracks()
	default:
		tracks := list{}
		for _, t := range c.tracks {
			tracks = append(tracks, c.finished(t))
		}
		return tracks
	}
}

// renamed gives the members of items the names that they have in answers.
func (c *composer) renamed(e endpoint, items list) any {
	if items == nil {
		return nil
	}
	renamed := make(list, 0, len(items))
	for _, item := range items {
		o := object{}
		members, _ := item.(object) // which all of them are
		for _, m := range members {
			if name, other := e.names[m.name]; other {
				m.name = name
			}
			o = append(o, m)
		}
		renamed = append(renamed, o)
	}
	return renamed
}

// verdict writes the word for how far the task is, and its error.
func (c *composer) verdict(at standing) object {
	name, other := "successFlag", "status"
	if c.outline.flavour.typ == music || c.chance(15) {
		name, other = other, name
	}
	word, errorCode, message := c.word(at)
	o := object{{name, word}, {"errorCode", errorCode}, {"errorMessage", message}}
	if c.chance(15) {
		o = append(o, member{other, pick[any](c.generator, nil, "")})
	}
	return o
}

func (c *composer) word(at standing) (word, errorCode, message any) {
	noError := pick[any](c.generator, nil, nil, integer(http.StatusOK), fmt.Sprint(http.StatusOK))
	noMessage := pick[any](c.generator, nil, "")
	switch {
	case at.final() && at.call.stage == callback.Error:
		return c.failureWord(at)
	case at.final() && at.excepted:
		if c.chance(50) { // the code is that of calling
			return "CALLBACK_EXCEPTION", integer(http.StatusInternalServerError), "callback failed"
		}
		return "CALLBACK_EXCEPTION", noError, noMessage
	case at.final():
		return c.flag("SUCCESS", 1), noError, noMessage
	case at.begun && at.call.stage == callback.First:
		return c.tailed("FIRST_SUCCESS"), noError, noMessage
	case at.begun && at.call.stage == callback.Text:
		return c.tailed("TEXT_SUCCESS"), noError, noMessage
	default:
		return pick(c.generator, c.flag("PENDING", 0), c.flag("GENERATING", 2), any("生成中")), noError, noMessage
	}
}

// flag is a word, or for covers mostly its number.
func (c *composer) flag(word string, number int32) any {
	if c.outline.flavour.typ == cover && c.chance(70) {
		return c.spelt(number)
	}
	return c.tailed(word)
}

// tailed is a word, now and then with a tail that has been seen.
func (c *composer) tailed(word string) any {
	if c.chance(20) {
		return word + pick(c.generator, "-done", "-The task is at this point", "-成功")
	}
	return word
}

// failureWord writes a failure in one of the ways there are: as a word with a code, as
// a word that has its code by itself, or as a code beside a word that says nothing.
func (c *composer) failureWord(at standing) (word, errorCode, message any) {
	kind := map[callback.Type]string{music: "AUDIO", video: "MP4", wav: "WAV", cover: "COVER"}[c.outline.flavour.typ]
	own := c.flag("GENERATE_"+kind+"_FAILED", 3)
	text := pick[any](c.generator, "Generation failed.", "音频生成失败")
	code := at.call.code
	switch {
	case at.excepted:
		return "CALLBACK_EXCEPTION", c.spelt(code), text
	case code == http.StatusInternalServerError && c.chance(50):
		return pick(c.generator, own, c.tailed("CREATE_TASK_FAILED")), nil, text
	case code == http.StatusBadRequest && c.chance(50):
		return "SENSITIVE_WORD_ERROR", pick[any](c.generator, nil, integer(http.StatusOK)), text
	default:
		return pick(c.generator, own, own, c.tailed("CREATE_TASK_FAILED"), c.flag("PENDING", 0)), c.spelt(code), text
	}
}
