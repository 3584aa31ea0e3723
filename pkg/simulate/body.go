package simulate

import (
	"slices"

	"fanfare/pkg/callback"
)

// composer writes the bodies of one task. It draws in a fixed order, so that
// the same task always gets the same ones.
type composer struct {
	generator

	plan    *plan
	outline outline
	assets  []asset

	tracks []track  // of music
	urls   []string // of the other types
}

// draw settles what all callbacks of the task have in common: its media.
func (c *composer) draw() {
	switch c.outline.flavour.typ {
	case music:
		c.drawTracks()
	case video:
		c.urls = []string{c.offer("video", mp4, "/s/"+string(c.outline.id)+".mp4")}
	case wav:
		c.urls = []string{c.offer("audio", riff, "/s/"+string(c.outline.id)+".wav")}
	default:
		c.drawImages()
	}
}

// offer adds a file to what is served for the task, under one or more paths,
// and returns its URL by the first of them.
func (c *composer) offer(name string, kind kind, paths ...string) string {
	c.assets = append(c.assets, asset{
		seed:  c.plan.seed,
		name:  string(c.outline.flavour.typ) + "/" + string(c.outline.id) + "/" + name,
		kind:  kind,
		url:   c.plan.mediaURL + paths[0],
		paths: paths,
	})
	return c.plan.mediaURL + paths[0]
}

// body writes one callback.
func (c *composer) body(call call) object {
	var data object
	switch {
	case c.outline.flavour.typ == music:
		data = c.musicData(call)
	case call.stage == callback.Error:
		data = c.emptyData()
	default:
		data = c.mediaData()
	}
	body := object{
		{"code", integer(call.code)},
		{"msg", c.message(call)},
		{"data", data},
	}
	if extras := c.chance(35); extras && !c.plan.hostility.NoExtras {
		body = c.withExtras(body)
		if c.chance(30) { // as in the provider's guide to signatures
			body = append(body, member{"taskId", string(c.outline.id)})
		}
	}
	return body
}

// taskIDs writes the task ID under the name that the type's page documents,
// or, when hostile, under the other one or both.
func (c *composer) taskIDs() object {
	documented, other := "task_id", "taskId"
	if c.outline.flavour.typ == cover {
		documented, other = other, documented
	}
	id := string(c.outline.id)
	n := c.IntN(100)
	switch {
	case c.plan.hostility.NoSpellings || n < 60:
		return object{{documented, id}}
	case n < 75:
		return object{{other, id}}
	case n < 85:
		return c.unset(object{{other, id}}, documented)
	default:
		return object{{documented, id}, {other, id}}
	}
}

// unset adds a member without a value in one of the provider's spellings of
// nothing: not at all, null, "" or [].
func (c *composer) unset(o object, name string) object {
	switch c.IntN(4) {
	case 0:
		return o
	case 1:
		return append(o, member{name, nil})
	case 2:
		return append(o, member{name, ""})
	default:
		return append(o, member{name, list{}})
	}
}

// withExtras adds members that nobody knows to the object and to every object
// within it.
func (c *composer) withExtras(o object) object {
	extended := make(object, 0, len(o)+2)
	for _, m := range o {
		extended = append(extended, member{m.name, c.extendValue(m.value)})
	}
	for range 1 + c.IntN(2) {
		name := pick(c.generator, "requestId", "x_trace", "ext", "version", "平台", "operation-type", "_links", "sentAt", "taskID")
		if !extended.has(name) {
			extended = slices.Insert(extended, c.IntN(len(extended)+1), member{name, c.anything(3)})
		}
	}
	return extended
}

func (c *composer) extendValue(value any) any {
	switch v := value.(type) {
	case object:
		return c.withExtras(v)
	case list:
		extended := make(list, len(v))
		for i, item := range v {
			extended[i] = c.extendValue(item)
		}
		return extended
	default:
		return value
	}
}

// anything draws a value of any type, nested at most depth levels.
func (c *composer) anything(depth int) any {
	n := c.IntN(10)
	if depth == 0 {
		n = c.IntN(7)
	}
	switch n {
	case 0:
		return nil
	case 1:
		return c.chance(50)
	case 2:
		return integer(c.Int64N(1 << 50))
	case 3:
		return pick[number](c.generator, "-0.5", "1.25e-7", "12345678901234567890", "6.02E+23")
	case 4:
		return ""
	case 5:
		return c.hex(24)
	case 6:
		return pick(c.generator, "çà et là\t", "\u2028 🎺", "a\"b\\c/d", "null", "\u0001")
	case 7:
		return list{}
	case 8:
		return list{c.anything(depth - 1), c.anything(depth - 1)}
	default:
		return object{{"name", c.anything(depth - 1)}, {"value", c.anything(depth - 1)}, {"", c.anything(0)}}
	}
}
