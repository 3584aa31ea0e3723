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

// CheckJSON is Check for an object that states its version in the member version.
func CheckJSON(value []byte, newest int) error {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(value, &head); err != nil {
		return fmt.Errorf("format: read the version: %w", err)
	}
	return Check(head.Version, newest)
}

// Read reads an object that was stored, without the members that into does not have.
func Read(value []byte, newest int, into any) error {
	if err := CheckJSON(value, newest); err != nil {
		return err
	}
	return json.Unmarshal(value, into)
}

// ReadAll reads an object that is to be written again. It refuses one with a member
// that into does not have.
func ReadAll(value []byte, newest int, into any) error {
	if err := CheckJSON(value, newest); err != nil {
		return err
	}
	err := json.Unmarshal(value, into, json.RejectUnknownMembers(true))
	if errors.Is(err, json.ErrUnknownName) {
		return fmt.Errorf("%w: %w", ErrNewer, err)
	}
	return err
}
