package schemas_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
)

// Every example of the document is the message that it shows, and its headers are
// those that its callback would get.
func TestEveryExampleOfAMessageIsOne(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, c := range describe(t).channels {
		for key, m := range c.messages {
			for _, e := range m.examples {
				shown++
				if e.headers != nil && m.headers != nil {
					if err := m.headers.Validate(e.headers); err != nil {
						t.Errorf("%s %s: %v", m.name, e.name, err)
					}
				}
				if m.payload != nil {
					if err := m.payload.Validate(e.payload); err != nil {
						t.Errorf("%s %s: %v", m.name, e.name, err)
					}
				}
				if contract := contracts[callback.Type(key)]; contract != nil && e.headers != nil {
					matches(t, contract, e)
				}
			}
		}
	}
	if shown < 25 {
		t.Errorf("only %d examples", shown)
	}
}

// matches checks that a callback's headers are those of its body.
func matches(t *testing.T, contract *callback.Contract, e example) {
	t.Helper()
	body, err := json.Marshal(e.payload)
	if err != nil {
		t.Fatal(err)
	}
	cb, err := contract.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"ce-id":      cb.MessageID(),
		"ce-subject": string(cb.TaskID),
		"ce-stage":   string(cb.Stage),
		"ce-type":    "fanfare.callback." + string(cb.Type) + "." + string(cb.Stage),
	} {
		if got := text(e.headers, name); got != want {
			t.Errorf("%s: %s is %s, want %s", e.name, name, got, want)
		}
	}
}

// What is not described must not pass, or all that passes says nothing.
func TestTheDescriptionRefusesOtherMessages(t *testing.T) {
	t.Parallel()
	d := describe(t)
	good := func() stored {
		got := stored{stream: "CALLBACKS", subject: "callbacks.wav.complete", headers: make(object)}
		for _, e := range d.channels["callbacks"].messages["wav"].examples {
			if e.headers == nil {
				continue
			}
			maps.Copy(got.headers, e.headers)
			got.body, _ = json.Marshal(e.payload)
		}
		return got
	}
	c := d.at(t, good().subject)
	if key, err := c.which(good()); key != "wav" {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*stored){
		"a header more":      func(s *stored) { s.headers["Fanfare-Reason"] = "permanent" },
		"a header less":      func(s *stored) { delete(s.headers, "ce-time") },
		"another's ID":       func(s *stored) { s.headers["ce-id"] = "music/t/complete/200" },
		"a stage of its own": func(s *stored) { s.headers["ce-stage"] = "done" },
		"no time":            func(s *stored) { s.headers["ce-time"] = "yesterday" },
		"a local time":       func(s *stored) { s.headers["ce-time"] = "2026-07-01T12:30:00+02:00" },
		"no URL":             func(s *stored) { s.body = []byte(strings.Replace(string(s.body), "https:", "ftp:", 1)) },
		"no result":          func(s *stored) { s.body = []byte(`{"code":200,"msg":"","data":{"task_id":"t"}}`) },
		"a code too large":   func(s *stored) { s.body = []byte(`{"code":4294967296,"msg":"","data":{"task_id":"t"}}`) },
		"no JSON":            func(s *stored) { s.body = []byte("{") },
		"another type":       func(s *stored) { s.headers["ce-source"] = "/callbacks/lyrics" },
	} {
		got := good()
		spoil(&got)
		if key, err := c.which(got); err == nil {
			t.Errorf("%s: passed as %s", name, key)
		}
	}
	for _, subject := range []string{"callbacks.lyrics.complete", "callbacks.wav.done", "callbacks.wav", "callbacks.wav.complete.x", "$KV.RESULTS.wav.a.b", "$KV.OTHER.wav.a"} {
		for _, c := range d.channels {
			if c.address.MatchString(subject) {
				t.Errorf("%s is an address of channel %s", subject, c.name)
			}
		}
	}
	if names := c.messages["wav"].documented; len(names) != 13 || !names["ce-id"] || slices.Contains([]bool{names["traceparent"]}, false) {
		t.Errorf("documented are %v", names)
	}
}
