package callback

import (
	"reflect"
	"testing"
)

func TestDetailsOfTypes(t *testing.T) {
	t.Parallel()
	contracts, err := LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[Type]DetailsResult{
		"cover": {From: []string{"images"}, To: "images"},
		"video": {From: []string{"videoUrl"}, To: "video_url"},
		"wav":   {From: []string{"audioWavUrl", "audio_wav_url"}, To: "audioWavUrl"},
		"music": {From: []string{"sunoData"}, To: "data", Items: &DetailsItems{
			Needs: []string{"id", "audioUrl"},
			Rename: map[string]string{
				"audioUrl": "audio_url", "sourceAudioUrl": "source_audio_url",
				"streamAudioUrl": "stream_audio_url", "sourceStreamAudioUrl": "source_stream_audio_url",
				"imageUrl": "image_url", "sourceImageUrl": "source_image_url", "modelName": "model_name",
			},
		}},
	} {
		details, ok := contracts[typ].Details()
		if !ok || !reflect.DeepEqual(details.Result, want) {
			t.Errorf("%s: %+v, want %+v", typ, details.Result, want)
		}
		if contracts[typ].NamesStages() != (typ == "music") {
			t.Errorf("%s: NamesStages() = %t", typ, contracts[typ].NamesStages())
		}
	}
	if _, ok := new(Contract).Details(); ok {
		t.Error("a type without details has some")
	}
}

func TestDetailsThatSayTooLittle(t *testing.T) {
	t.Parallel()
	result := DetailsResult{From: []string{"a"}, To: "b"}
	for name, row := range map[string]struct {
		details *Details
		ok      bool
	}{
		"none":          {nil, true},
		"all":           {&Details{"/a", result}, true},
		"no path":       {&Details{"", result}, false},
		"relative path": {&Details{"a", result}, false},
		"a query":       {&Details{"/a?b", result}, false},
		"no result":     {&Details{"/a", DetailsResult{}}, false},
		"no from":       {&Details{"/a", DetailsResult{To: "b"}}, false},
		"no to":         {&Details{"/a", DetailsResult{From: []string{"a"}}}, false},
		"no needs":      {&Details{"/a", DetailsResult{From: []string{"a"}, To: "b", Items: &DetailsItems{}}}, false},
	} {
		if err := row.details.validate(); (err == nil) != row.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
