package simulate

import (
	"fmt"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// expectation is what the result of one task must come to, in whatever order
// its callbacks arrived.
type expectation struct {
	typ     callback.Type
	id      callback.TaskID
	stage   callback.Stage
	code    int32
	outcome result.Outcome
	failure *result.Failure
	archive result.Archive
	files   map[string]int64  // sizes by SHA-256
	lost    map[string]string // why files are given up, by URL
	letters letters
	others  map[call]bool // failures that the final success replaces
}

// expect hashes what the task's files will be served as.
func (t task) expect() (expectation, error) {
	final := t.final()
	e := expectation{
		typ:     t.flavour.typ,
		id:      t.id,
		stage:   final.stage,
		code:    final.code,
		outcome: result.Succeeded,
		archive: result.Archived,
	}
	e.letters, e.others = t.expectLetters(), t.replaced()
	if final.stage == callback.Error {
		failure := result.FailureOf(final.code)
		e.outcome, e.failure, e.archive = result.Failed, &failure, result.None
		return e, nil
	}
	if err := e.expectFiles(t.assets); err != nil {
		return expectation{}, err
	}
	return e, nil
}

// expectFiles hashes the files that must be safe in the end, and notes why the
// others must be given up.
func (e *expectation) expectFiles(assets []asset) error {
	e.files, e.lost = make(map[string]int64, len(assets)), make(map[string]string)
	for _, a := range assets {
		if a.trouble.reason != "" {
			e.lost[a.url] = a.trouble.reason
			continue
		}
		digest, size, err := a.sum()
		if err != nil {
			return fmt.Errorf("hash %s: %w", a.name, err)
		}
		e.files[digest] = size
	}
	switch {
	case len(e.lost) == 0:
	case len(e.files) > 0:
		e.archive = result.Partial
	default:
		e.archive = result.AllFailed
	}
	return nil
}

// deviation says in a few words how the document differs from what is expected;
// "" means that it does not.
func (e expectation) deviation(doc result.Document) string {
	switch {
	case doc.Type != e.typ || doc.TaskID != e.id:
		return fmt.Sprintf("is of %s %s", doc.Type, doc.TaskID)
	case doc.Outcome != e.outcome:
		return fmt.Sprintf("outcome %q, want %q", doc.Outcome, e.outcome)
	case doc.Stage != e.stage:
		return fmt.Sprintf("stage %q, want %q", doc.Stage, e.stage)
	case doc.Code != e.code:
		return fmt.Sprintf("code %d, want %d", doc.Code, e.code)
	case describe(doc.Failure) != describe(e.failure):
		return fmt.Sprintf("failure %s, want %s", describe(doc.Failure), describe(e.failure))
	case doc.Archive != e.archive:
		return fmt.Sprintf("archive %q, want %q", doc.Archive, e.archive)
	case len(doc.Media) != len(e.files)+len(e.lost):
		return fmt.Sprintf("%d media, want %d", len(doc.Media), len(e.files)+len(e.lost))
	}
	for _, c := range doc.Conflicts {
		if !e.others[call{c.Stage, c.Code}] {
			return fmt.Sprintf("has a second result: stage %q, code %d", c.Stage, c.Code)
		}
	}
	return e.mediaDeviation(doc.Media)
}

// replaced returns the failures from which the task recovers.
func (t task) replaced() map[call]bool {
	others := make(map[call]bool)
	for i, c := range t.calls {
		if c.stage == callback.Error && i != t.decides() {
			others[c] = true
		}
	}
	return others
}

// mediaDeviation compares the files that must be safe by their digests, since what
// the archive calls them is its own affair, and those that must be given up by
// their URLs.
func (e expectation) mediaDeviation(media []result.Media) string {
	seen := make(map[string]bool, len(media))
	for _, m := range media {
		id := m.SHA256
		if !m.Archived() {
			id = m.SourceURL
		}
		reason := e.fileDeviation(m)
		if seen[id] {
			reason = "is there twice"
		}
		if reason != "" {
			return fmt.Sprintf("media %q %s", m.Name, reason)
		}
		seen[id] = true
	}
	return ""
}

func (e expectation) fileDeviation(m result.Media) string {
	if !m.Archived() {
		reason, lost := e.lost[m.SourceURL]
		switch {
		case !lost:
			return fmt.Sprintf("is not archived: error %q", m.Error)
		case m.Error != reason:
			return fmt.Sprintf("has error %q, want %q", m.Error, reason)
		}
		return ""
	}
	size, served := e.files[m.SHA256]
	switch {
	case !served:
		return "is not what was served"
	case m.Bytes != size:
		return fmt.Sprintf("has %d bytes, want %d", m.Bytes, size)
	case m.Error != "":
		return fmt.Sprintf("is archived and has error %q", m.Error)
	}
	return ""
}

func describe(f *result.Failure) string {
	if f == nil {
		return "none"
	}
	return fmt.Sprintf("%s (retryable %t, refunded %t)", f.Reason, f.Retryable, f.CreditsRefunded)
}
