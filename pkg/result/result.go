// Package result holds the outcome record of one task and the rule by which it
// moves: forward only.
//
// Documents are pure values. Any number of consumers may merge the same
// callbacks in any order and any number of times: progress never replaces a
// final state, success replaces failure, and a final state that contradicts the
// recorded one is kept beside it, not lost and not believed.
package result

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/format"
)

// Version is that of the format of documents. A member less, or one that means
// something else, makes another.
const Version = 1

// linkLife is how long the provider keeps its files: 14 days by the shorter of
// its own statements (docs.kie.ai/suno-api, "files are retained for 14 days").
const linkLife = 14 * 24 * time.Hour

// maxMessageBytes bounds the provider's text in a document.
const maxMessageBytes = 1024

// Document is what is known of one task, the same shape for all types; its
// published form is schemas/result.json.
type Document struct {
	Version   int             `json:"version"` // of this format
	Type      callback.Type   `json:"type"`
	TaskID    callback.TaskID `json:"task_id"`
	Stage     callback.Stage  `json:"stage"`   // of the callback that the document states
	Outcome   Outcome         `json:"outcome"` // of the provider's task, whatever became of its media
	Code      int32           `json:"code"`    // the provider's status code
	Message   string          `json:"message"` // the provider's text, cut to 1 KiB
	Failure   *Failure        `json:"failure,omitzero"`
	Archive   Archive         `json:"archive"`
	Media     []Media         `json:"media"`
	Times     Times           `json:"times"`
	Statement string          `json:"statement"` // digest of what the callback says; equal statements do not contradict
	Conflicts []Conflict      `json:"conflicts,omitempty"`
}

// Media is one file of the task.
type Media struct {
	Name        string `json:"name"`                   // file name in the task's folder
	SourceURL   string `json:"source_url"`             // where the provider offers it
	Key         string `json:"key,omitempty"`          // where it lies in the archive, once it does
	Bytes       int64  `json:"bytes,omitzero"`         // size in the archive
	SHA256      string `json:"sha256,omitempty"`       // lower-case hexadecimal, of the bytes in the archive
	ContentType string `json:"content_type,omitempty"` // by its content, not by what its host said
	Error       string `json:"error,omitempty"`        // why it could not be had at the last delivery
}

// Archived reports whether the file is safe in the archive.
func (m Media) Archived() bool { return m.SHA256 != "" }

// Times says when things happened, in UTC.
type Times struct {
	Started  time.Time `json:"started"`           // the task's first callback, of whatever stage, was received
	Received time.Time `json:"received"`          // the callback that the document states was received
	Archived time.Time `json:"archived,omitzero"` // the last file was safe, or given up
	Expires  time.Time `json:"expires,omitzero"`  // the provider's links may be dead from here on
}

// Conflict is a final state that contradicts the one recorded.
type Conflict struct {
	Stage     callback.Stage `json:"stage"`
	Outcome   Outcome        `json:"outcome"`
	Code      int32          `json:"code"`
	Message   string         `json:"message"`
	Received  time.Time      `json:"received"`
	Statement string         `json:"statement"`
}

// New returns the document that one callback makes by itself. media holds the
// names and URLs of its files, none of them archived yet; it may be empty.
func New(cb callback.Callback, media []Media) Document {
	d := Document{
		Version: Version,
		Type:    cb.Type,
		TaskID:  cb.TaskID,
		Stage:   cb.Stage,
		Outcome: outcome(cb.Stage),
		Code:    cb.Code,
		Message: cut(cb.Message),
		Archive: None,
		Media:   []Media{},
		Times:   Times{Started: cb.Received.UTC(), Received: cb.Received.UTC()},
	}
	if d.Outcome == Failed {
		failure := FailureOf(cb.Code)
		d.Failure = &failure
	}
	if len(media) > 0 {
		d.Media = media
		d.Archive = Pending
		d.Times.Expires = d.Times.Received.Add(linkLife)
	}
	d.Statement = d.digest()
	return d
}

// Unreported returns the document of a task that was submitted and of whose end
// nothing could be learned until now. Its code is 0, which the provider did not send.
func Unreported(t callback.Type, id callback.TaskID, submitted, now time.Time) Document {
	d := Document{
		Version: Version,
		Type:    t,
		TaskID:  id,
		Stage:   callback.Error,
		Outcome: Failed,
		Message: "no callback came, and the provider did not say what became of the task",
		Failure: &Failure{Reason: NeverReported, Retryable: true},
		Archive: None,
		Media:   []Media{},
		Times:   Times{Started: submitted.UTC(), Received: now.UTC()},
	}
	d.Statement = d.digest()
	return d
}

// digest condenses what a callback says of its task. The code of a success is
// left out: the provider has two for the same thing.
func (d Document) digest() string {
	var b strings.Builder
	b.WriteString(string(d.Stage))
	if d.Failure != nil {
		b.WriteString("\n" + string(d.Failure.Reason))
		b.WriteString("\n" + strconv.Itoa(int(d.Code)))
	}
	for _, m := range d.Media {
		b.WriteString("\n" + m.Name + "\n" + m.SourceURL)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:8])
}

func cut(s string) string {
	if len(s) <= maxMessageBytes {
		return s
	}
	s = s[:maxMessageBytes]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// Encode returns the document as it is stored, and as its subscribers see it.
func (d Document) Encode() ([]byte, error) {
	encoded, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("result: encode %s/%s: %w", d.Type, d.TaskID, err)
	}
	return encoded, nil
}

// Decode reads a document that was stored; one without a version has the first. The
// error wraps [format.ErrNewer] for one that only a newer fanfare can read.
func Decode(stored []byte) (Document, error) { return decode(stored, format.Read) }

// DecodeAll is Decode for a document that is to be written again: it also refuses one
// of which something would be lost.
func DecodeAll(stored []byte) (Document, error) { return decode(stored, format.ReadAll) }

func decode(stored []byte, read func([]byte, int, any, *int) error) (d Document, err error) {
	if err := read(stored, Version, &d, &d.Version); err != nil {
		return Document{}, fmt.Errorf("result: decode document: %w", err)
	}
	d.Version = Version
	return d, nil
}

// Key is where the archive keeps the task's file of that name:
// <type>/<escaped task ID>/<name>.
func (d Document) Key(name string) string {
	return callback.Key(d.Type, d.TaskID, "/") + "/" + name
}

// Settle says that the media will not be tried again: what is not archived by
// now is given up.
func (d *Document) Settle(now time.Time) {
	safe := 0
	for _, m := range d.Media {
		if m.Archived() {
			safe++
		}
	}
	switch {
	case len(d.Media) == 0:
		return
	case safe == len(d.Media):
		d.Archive = Archived
	case safe > 0:
		d.Archive = Partial
	default:
		d.Archive = AllFailed
	}
	d.Times.Archived = now.UTC()
}
