// Package callback holds what a callback is: its type, task ID and stage, the
// message ID made of them, and the one strict way to read a request body.
//
// Everything here is a pure value: no network, no clock, no broker. A
// [Callback] that [Contract.Accept] returned is valid by its type's schema, and
// its message ID is the same for every encoding of the same facts. The package
// never changes a body and never trims or rewrites a task ID.
package callback

import (
	"fmt"
	"strconv"
	"time"
)

// Callback is one valid request of the provider.
type Callback struct {
	Type     Type
	TaskID   TaskID
	Stage    Stage
	Word     string    // the provider's own word where Stage is Other, else ""
	Code     int32     // the provider's status code, as sent
	Message  string    // the provider's text for people; hostile, of any length
	Received time.Time // when the gateway had the whole request; zero until it says so
	Polled   bool      // the provider was asked for it; false: it called
	Body     []byte    // the request body, byte for byte
}

// MessageID is the callback's identity on its stream:
// <type>/<task ID>/<stage>/<code>, or <type>/<task ID>/other:<word>/<code>.
// The task ID alone would swallow complete after text, and a success after a
// failure.
func (c Callback) MessageID() string {
	stage := string(c.Stage)
	if c.Stage == Other {
		stage += ":" + c.Word
	}
	return string(c.Type) + "/" + string(c.TaskID) + "/" + stage + "/" + strconv.Itoa(int(c.Code))
}

// Key names the callback's task among all types, in characters that are safe
// in a subject, a bucket key and a file name: <type><separator><escaped task ID>.
func (c Callback) Key(separator string) string {
	return Key(c.Type, c.TaskID, separator)
}

// Key is [Callback.Key] for a task of which no callback is at hand.
func Key(t Type, id TaskID, separator string) string {
	return string(t) + separator + Escape(string(id))
}

// maxTypeBytes bounds a type's name, which is a metric label and a file name.
const maxTypeBytes = 32

// Type names a family of callbacks, such as "music". It is a subject token, a
// durable's name and a metric label, so it holds lower-case letters, digits and
// inner hyphens only. Which types exist is said by the schemas, not here.
type Type string

// ParseType returns s as a Type, or an error that says what a type looks like.
func ParseType(s string) (Type, error) {
	if s == "" || len(s) > maxTypeBytes || s[0] == '-' || s[len(s)-1] == '-' {
		return "", typeError(s)
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "", typeError(s)
		}
	}
	return Type(s), nil
}

func typeError(s string) error {
	return fmt.Errorf("callback: type %q: want 1 to %d of a-z, 0-9 and inner hyphens", s, maxTypeBytes)
}

// Stage says where in its life a task was when the provider called.
type Stage string

// The stages. A word of the provider's that is not among them is Other, which
// is stored and left alone.
const (
	Text     Stage = "text"     // the lyrics are written
	First    Stage = "first"    // the first track can be had
	Complete Stage = "complete" // everything can be had
	Error    Stage = "error"    // the task failed
	Other    Stage = "other"
)

// Stages returns every stage in the order of a task's life.
func Stages() []Stage {
	return []Stage{Text, First, Complete, Error, Other}
}

// Final reports whether nothing more is expected of the task.
func (s Stage) Final() bool {
	return s == Complete || s == Error
}
