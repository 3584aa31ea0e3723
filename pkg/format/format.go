// Package format holds the rule by which stored data tells its version.
//
// What is stored says which version of its format it has; what says none has
// version 1. A process of an older release can meet what one of a newer release
// wrote, while both run. It must not misread it, so a newer version is refused with
// [ErrNewer]; and it must not write it again without what it does not know, so who
// reads to write refuses unknown members too. Who only reads ignores them: a format
// may gain members without another version.
package format

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// ErrNewer reports data of a format that is newer than the reader. It is no fault
// of the data: a newer reader can use it.
var ErrNewer = errors.New("its format is newer than this fanfare knows: it waits for an upgrade")

// Check holds the version that data states against the newest that its reader
// knows; 0 says that the data states none.
func Check(version, newest int) error {
	switch {
	case version > newest:
		return fmt.Errorf("%w (version %d, this one knows %d)", ErrNewer, version, newest)
	case version < 0:
		return fmt.Errorf("format: version %d: want 1 or more", version)
	}
	return nil
}

// Read reads an object that was stored into into, of which version is the member of
// that name. It leaves out what into has no member for.
func Read(value []byte, newest int, into any, version *int) error {
	return read(value, newest, into, version)
}

// ReadStrict is Read for an object that others may have written: it refuses what into
// has no member for.
func ReadStrict(value []byte, newest int, into any, version *int) error {
	return read(value, newest, into, version, json.RejectUnknownMembers(true))
}

// ReadAll is Read for an object that is to be written again: what into has no member
// for makes it a newer one.
func ReadAll(value []byte, newest int, into any, version *int) error {
	err := ReadStrict(value, newest, into, version)
	if errors.Is(err, json.ErrUnknownName) {
		return fmt.Errorf("%w: %w", ErrNewer, err)
	}
	return err
}

func read(value []byte, newest int, into any, version *int, options ...json.Options) error {
	failed := json.Unmarshal(value, into, options...)
	stated := *version
	if failed != nil {
		stated = stating(value) // it may stand behind what cannot be read
	}
	if err := Check(stated, newest); err != nil {
		return err
	}
	return failed
}

// stating is the version that an object of whatever shape states.
func stating(value []byte) int {
	var head struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(value, &head) != nil {
		return 0
	}
	return head.Version
}
