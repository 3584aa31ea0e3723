// Package media brings the media files of a task into an archive.
//
// A [Fetcher] downloads from hosts that it does not trust: every address is
// checked when it is dialled, and size, pace, redirects and content are
// bounded. An [Archive], a directory or an S3 bucket, keeps what was fetched:
// once [Archive.Store] returns, the file is complete, hashed and durable under
// its key. A partial file is never visible there, what is stored already is never
// downloaded again, and what dead processes leave behind a [Sweeper] removes.
package media

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid reports an asset, a key or an archive URL that the caller must
// correct: the same call will fail again.
var ErrInvalid = errors.New("media: invalid")

// ErrArchive reports that the archive itself could not be read or written, as
// with a full disk or missing permissions. The media host is not to blame.
var ErrArchive = errors.New("media: archive unavailable")

// Kind is what a file must be.
type Kind string

// The kinds of media.
const (
	Audio Kind = "audio"
	Image Kind = "image"
	Video Kind = "video"
)

// Asset is one media file of a task.
type Asset struct {
	Name string   // file name within the task's folder, of [A-Za-z0-9_.=-], unique within the task
	Kind Kind     // what the content must be
	URLs []string // where it can be had, at least one: the first that works wins
}

// File describes an asset that is complete and durable in the archive.
type File struct {
	SourceURL   string // the URL it came from, query included; "" when it was there already
	Key         string
	Bytes       int64
	SHA256      string // lower-case hex
	ContentType string // as found in the content, not as the host named it
}

// A file may lie under its name plus ".<hex time>.tmp" while it is written, at
// most 21 bytes more; file systems allow 255 bytes for a name.
const (
	maxSegment = 255
	maxName    = maxSegment - 21
)

// checkKey reports why a key is not a relative slash path of plain names.
func checkKey(key string) error {
	segments := strings.Split(key, "/")
	for i, segment := range segments {
		limit := maxSegment
		if i == len(segments)-1 {
			limit = maxName
		}
		if err := checkSegment(segment, limit); err != nil {
			return fmt.Errorf("%w: key %.300q: %w", ErrInvalid, key, err)
		}
	}
	return nil
}

func checkSegment(segment string, limit int) error {
	switch {
	case segment == "":
		return errors.New("empty segment")
	case segment == "." || segment == "..":
		return errors.New("relative segment")
	case len(segment) > limit:
		return fmt.Errorf("segment over %d bytes", limit)
	case strings.HasSuffix(segment, ".tmp"), strings.HasSuffix(segment, ".attrs"):
		return errors.New("segment ends like a file of the archive's own")
	}
	if strings.ContainsFunc(segment, func(r rune) bool { return !isNameRune(r) }) {
		return errors.New("character outside [A-Za-z0-9_.=-]")
	}
	return nil
}

func isNameRune(r rune) bool {
	switch {
	case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		return true
	}
	return strings.ContainsRune("_.=-", r)
}

func (a Asset) validate() error {
	if err := checkSegment(a.Name, maxName); err != nil {
		return fmt.Errorf("%w: asset name %.300q: %w", ErrInvalid, a.Name, err)
	}
	if isManifest(a.Name) {
		return fmt.Errorf("%w: asset name %s is the manifest's", ErrInvalid, a.Name)
	}
	if len(contentTypes(a.Kind)) == 0 {
		return fmt.Errorf("%w: asset %s: unknown kind %.50q", ErrInvalid, a.Name, a.Kind)
	}
	if len(a.URLs) == 0 {
		return fmt.Errorf("%w: asset %s: no URL", ErrInvalid, a.Name)
	}
	return nil
}
