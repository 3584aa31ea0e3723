package simulate

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

// shape is something that a plan of some size must hold at least once.
type shape struct {
	name string
	in   func(task, call, []byte, map[string]any) bool
}

// bodyShapes returns what is seen in single bodies.
func bodyShapes() []shape {
	return []shape{
		{"alphabetical members", func(_ task, _ call, b []byte, _ map[string]any) bool {
			return bytes.HasPrefix(b, []byte(`{"code":200,"data":`))
		}},
		{"page order", func(_ task, _ call, b []byte, _ map[string]any) bool {
			return bytes.HasPrefix(b, []byte(`{"code":200,"msg":`))
		}},
		{"white space", func(_ task, _ call, b []byte, _ map[string]any) bool { return bytes.Contains(b, []byte("\n")) }},
		{"escapes", func(_ task, _ call, b []byte, _ map[string]any) bool { return bytes.Contains(b, []byte(`\/`)) }},
		{"Chinese message", func(_ task, _ call, _ []byte, v map[string]any) bool {
			return strings.Contains(v["msg"].(string), "生成")
		}},
		{"task ID at the top", func(_ task, _ call, _ []byte, v map[string]any) bool { return v["taskId"] != nil }},
		{"an unknown member", func(_ task, _ call, _ []byte, v map[string]any) bool { return v["x_trace"] != nil }},
		{"a nested unknown member", func(_ task, _ call, _ []byte, v map[string]any) bool {
			nested, _ := v["ext"].(map[string]any)
			return nested != nil
		}},
		{"video code 0", func(p task, c call, _ []byte, _ map[string]any) bool { return p.flavour.typ == video && c.code == 0 }},
		{"an unfinished failure with callbackType complete", func(_ task, c call, _ []byte, v map[string]any) bool {
			return c.stage == callback.Error && data(v)["callbackType"] == "complete"
		}},
		{"a failure with a sentence", func(_ task, _ call, _ []byte, v map[string]any) bool { return data(v)["error"] != nil }},
		{"one cover image", func(_ task, _ call, _ []byte, v map[string]any) bool { return items(data(v), "images") == 1 }},
		{"two cover images", func(_ task, _ call, _ []byte, v map[string]any) bool { return items(data(v), "images") == 2 }},
	}
}

// idShapes returns the spellings and forms of a task ID.
func idShapes() []shape {
	shapes := []shape{
		{"taskId_ and digits", func(p task, _ call, _ []byte, _ map[string]any) bool {
			return strings.HasPrefix(string(p.id), "taskId_")
		}},
		{"task_id_ and digits", func(p task, _ call, _ []byte, _ map[string]any) bool {
			return strings.HasPrefix(string(p.id), "task_id_")
		}},
		{"asterisks", func(p task, _ call, _ []byte, _ map[string]any) bool { return strings.Contains(string(p.id), "****") }},
		{"32 digits", func(p task, _ call, _ []byte, _ map[string]any) bool { return len(p.id) == 32 }},
	}
	for _, typ := range []callback.Type{music, video, wav, cover} {
		for name, want := range map[string][2]bool{"task_id": {true, false}, "taskId": {false, true}, "both": {true, true}} {
			shapes = append(shapes, shape{fmt.Sprintf("%s with %s", typ, name), func(p task, _ call, _ []byte, v map[string]any) bool {
				return p.flavour.typ == typ && something(data(v)["task_id"]) == want[0] && something(data(v)["taskId"]) == want[1]
			}})
		}
	}
	return shapes
}

// wavShapes returns the places of the WAV URL, and how failures leave media out.
func wavShapes() []shape {
	place := func(in func(map[string]any) any) func(task, call, []byte, map[string]any) bool {
		return func(p task, c call, _ []byte, v map[string]any) bool {
			return p.flavour.typ == wav && c.stage == callback.Complete && something(in(data(v)))
		}
	}
	shapes := []shape{
		{"audioWavUrl", place(func(d map[string]any) any { return d["audioWavUrl"] })},
		{"audio_wav_url", place(func(d map[string]any) any { return d["audio_wav_url"] })},
		{"response.audioWavUrl", place(func(d map[string]any) any {
			response, _ := d["response"].(map[string]any)
			return response["audioWavUrl"]
		})},
	}
	for name, in := range map[string]func(map[string]any, string) bool{
		"null":          func(d map[string]any, name string) bool { v, there := d[name]; return there && v == nil },
		"missing":       func(d map[string]any, name string) bool { _, there := d[name]; return !there },
		"an empty list": func(d map[string]any, name string) bool { return items(d, name) == 0 },
	} {
		shapes = append(shapes,
			shape{"tracks " + name, failing(music, func(d map[string]any) bool { return in(d, "data") })},
			shape{"images " + name, failing(cover, func(d map[string]any) bool { return in(d, "images") })},
			shape{"video_url " + name, failing(video, func(d map[string]any) bool { return in(d, "video_url") })},
		)
	}
	return shapes
}

func failing(typ callback.Type, in func(map[string]any) bool) func(task, call, []byte, map[string]any) bool {
	return func(p task, c call, _ []byte, v map[string]any) bool {
		return p.flavour.typ == typ && c.stage == callback.Error && in(data(v))
	}
}

// trackShapes returns what is seen in tracks.
func trackShapes() []shape {
	anyTrack := func(stage callback.Stage, at int, in func(map[string]any) bool) func(task, call, []byte, map[string]any) bool {
		return func(p task, c call, _ []byte, v map[string]any) bool {
			tracks, _ := data(v)["data"].([]any)
			if p.flavour.typ != music || c.stage != stage || len(tracks) <= at {
				return false
			}
			return in(tracks[at].(map[string]any))
		}
	}
	return []shape{
		{"text without tracks", func(_ task, c call, _ []byte, v map[string]any) bool {
			return c.stage == callback.Text && items(data(v), "data") == 0
		}},
		{"text with tracks", anyTrack(callback.Text, 1, func(m map[string]any) bool { return !something(m["audio_url"]) })},
		{"first with one track", func(_ task, c call, _ []byte, v map[string]any) bool {
			return c.stage == callback.First && items(data(v), "data") == 1
		}},
		{"second track without audio_url", anyTrack(callback.First, 1, func(m map[string]any) bool { _, there := m["audio_url"]; return !there })},
		{"second track with an empty audio_url", anyTrack(callback.First, 1, func(m map[string]any) bool { return m["audio_url"] == "" })},
		{"second track with audio_url null", anyTrack(callback.First, 1, func(m map[string]any) bool { v, there := m["audio_url"]; return there && v == nil })},
		{"createTime in milliseconds", anyTrack(callback.Complete, 0, func(m map[string]any) bool { _, number := m["createTime"].(float64); return number })},
		{"createTime as a text", anyTrack(callback.Complete, 0, func(m map[string]any) bool {
			s, _ := m["createTime"].(string)
			return len(s) == len("2025-01-01 00:00:00")
		})},
		{"an integer duration", anyTrack(callback.Complete, 0, func(m map[string]any) bool { f, _ := m["duration"].(float64); return f == float64(int64(f)) })},
		{"a duration with a fraction", anyTrack(callback.Complete, 0, func(m map[string]any) bool { f, _ := m["duration"].(float64); return f != float64(int64(f)) })},
		{"sources", anyTrack(callback.Complete, 0, func(m map[string]any) bool { return m["source_audio_url"] != nil })},
		{"no sources", anyTrack(callback.Complete, 0, func(m map[string]any) bool { return m["source_audio_url"] == nil })},
		{"no tags", anyTrack(callback.Complete, 0, func(m map[string]any) bool { return m["tags"] == nil })},
		{"an empty prompt", anyTrack(callback.Complete, 0, func(m map[string]any) bool { return m["prompt"] == "" })},
		{"a prompt in another script", anyTrack(callback.Complete, 0, func(m map[string]any) bool { return strings.Contains(m["prompt"].(string), "Куплет") })},
	}
}

func data(v map[string]any) map[string]any { return v["data"].(map[string]any) }

func something(v any) bool {
	s, _ := v.(string)
	return s != ""
}

func items(v map[string]any, name string) int {
	list, ok := v[name].([]any)
	if !ok {
		return -1
	}
	return len(list)
}

func TestEveryShapeAppears(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 20; seed++ {
		wanted := slices.Concat(bodyShapes(), idShapes(), wavShapes(), trackShapes())
		codes, names := make(map[int32]bool), make(map[string]bool)
		p := testPlan(seed, 500, Hostility{})
		for i := range p.ids {
			planned := writeTask(t, p, i)
			names[planned.flavour.name] = true
			for _, s := range planned.sendings {
				c := planned.calls[s.call]
				codes[c.code] = true
				for _, body := range s.bodies {
					value := parse(t, body)
					wanted = slices.DeleteFunc(wanted, func(w shape) bool { return w.in(planned, c, body, value) })
				}
			}
		}
		for _, w := range wanted {
			t.Errorf("seed %d: no callback with %s", seed, w.name)
		}
		for _, code := range []int32{0, 200, 400, 408, 413, 451, 500, 501, 531} {
			if !codes[code] {
				t.Errorf("seed %d: no callback with code %d", seed, code)
			}
			delete(codes, code)
		}
		if len(codes) == 0 {
			t.Errorf("seed %d: no code that is not documented", seed)
		}
		if len(names) != len(flavours()) {
			t.Errorf("seed %d: only the flavours %v", seed, slices.Sorted(maps.Keys(names)))
		}
	}
}
