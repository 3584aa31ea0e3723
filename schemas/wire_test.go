package schemas_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"
)

// stored is a message as a subscriber gets it.
type stored struct {
	stream, subject string
	headers         object
	body            []byte
}

// read returns every message of every stream, as an ordered consumer has it.
func (r *rig) read() (all []stored) {
	r.tb.Helper()
	for info := range r.js.ListStreams(r.tb.Context()).Info() {
		if info.State.Msgs == 0 {
			r.tb.Errorf("stream %s is empty", info.Config.Name)
			continue
		}
		consumer, err := r.js.OrderedConsumer(r.tb.Context(), info.Config.Name, jetstream.OrderedConsumerConfig{})
		if err != nil {
			r.tb.Fatal(err)
		}
		for range info.State.Msgs {
			msg, err := consumer.Next(jetstream.FetchMaxWait(patience))
			if err != nil {
				r.tb.Fatal(err)
			}
			headers := make(object)
			for name, values := range msg.Headers() {
				if len(values) != 1 {
					r.tb.Errorf("%s: header %s is there %d times", msg.Subject(), name, len(values))
				}
				headers[name] = values[0]
			}
			all = append(all, stored{info.Config.Name, msg.Subject(), headers, msg.Data()})
		}
	}
	return all
}

// fits reports why a message is not as described.
func (m *message) fits(got stored) error {
	for name := range got.headers {
		if !m.documented[name] {
			return fmt.Errorf("header %s is not documented", name)
		}
	}
	if m.headers != nil {
		if err := m.headers.Validate(got.headers); err != nil {
			return err
		}
	}
	if m.payload == nil {
		return nil
	}
	if m.contentType != "" {
		return m.payload.Validate(string(got.body))
	}
	var payload any // of the default content type, which is JSON
	if err := json.Unmarshal(got.body, &payload); err != nil {
		return err
	}
	return m.payload.Validate(payload)
}

// which finds the one message of a channel that a stored one is.
func (c *channel) which(got stored) (string, error) {
	var found []string
	var failures error
	for key, m := range c.messages {
		if err := m.fits(got); err != nil {
			failures = errors.Join(failures, fmt.Errorf("%s: %w", m.name, err))
			continue
		}
		found = append(found, key)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("it is %v of channel %s: %w", found, c.name, failures)
	}
	return found[0], nil
}

// TestEveryStoredMessageIsAsDescribed brings about every kind of message, finds each
// one described, and nothing described that did not come about.
func TestEveryStoredMessageIsAsDescribed(t *testing.T) {
	t.Parallel()
	d, r := describe(t), startRig(t, http.HandlerFunc(outside))
	r.live()
	r.stop()

	seen := make(map[string]int) // channels, their messages, and these messages' headers
	all := r.read()
	for _, got := range all {
		c := d.at(t, got.subject)
		if c.stream != got.stream {
			t.Errorf("%s is in stream %s, described in %s", got.subject, got.stream, c.stream)
		}
		key, err := c.which(got)
		if err != nil {
			t.Errorf("%s %v %s: %v", got.subject, got.headers, got.body, err)
			continue
		}
		agree(t, got)
		seen[c.name]++
		seen[c.name+" "+key]++
		for name := range got.headers {
			seen[c.name+" "+key+" "+name]++
		}
		seen[got.subject]++
	}
	for _, c := range d.channels {
		for key, m := range c.messages {
			if seen[c.name+" "+key] == 0 {
				t.Errorf("channel %s: no message is a %s", c.name, m.name)
			}
			for name := range m.documented {
				if seen[c.name+" "+key+" "+name] == 0 && !unseen(c, key, name) {
					t.Errorf("channel %s: no %s has header %s", c.name, m.name, name)
				}
			}
		}
	}
	for typ, contract := range r.contracts {
		for _, stage := range contract.Stages() {
			if subject := "callbacks." + string(typ) + "." + string(stage); seen[subject] == 0 {
				t.Errorf("no message is on %s", subject)
			}
		}
	}
	t.Logf("%d messages of %d channels", len(all), len(d.channels))
}

// unseen reports a documented header that no message has here: a redelivery of what is
// no callback is too far-fetched to bring about.
func unseen(c *channel, key, name string) bool {
	return c.name == "deadLetters" && key == "invalid" && name == "Fanfare-Redelivery-Of"
}

// agree checks what no schema can say: that a message's subject and headers agree.
func agree(t *testing.T, got stored) {
	t.Helper()
	header := func(name string) string { return text(got.headers, name) }
	equal := func(name, want string) {
		if is := header(name); is != "" && is != want {
			t.Errorf("%s: %s is %q, want %q", got.subject, name, is, want)
		}
	}
	equal("Nats-Expected-Stream", got.stream)
	token := strings.Split(got.subject, ".")
	stage := header("ce-stage")
	first := "callbacks." + token[1] + "." + stage // the subject on which the callback first came
	equal("Fanfare-Subject", first)
	equal("ce-type", "fanfare.callback."+token[1]+"."+stage)
	if token[0] == "redeliver" || token[0] == "callbacks" {
		if strings.Join(token[1:], ".") != token[1]+"."+stage {
			t.Errorf("%s: ce-stage is %q", got.subject, stage)
		}
	}
	if stage == "other" {
		_, word, _ := strings.Cut(header("ce-id"), "/other:")
		word, _, _ = strings.Cut(word, "/")
		stage += ":" + word
	}
	id := strings.Join([]string{token[1], header("ce-subject"), stage, header("ce-code")}, "/")
	equal("ce-id", id)
	if token[0] == "callbacks" {
		equal("Nats-Msg-Id", id)
	}
}
