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
	files   map[string]int64 // sizes by SHA-256
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
	if final.stage == callback.Error {
		failure := result.FailureOf(final.code)
		e.outcome, e.failure, e.archive = result.Failed, &failure, result.None
		return e, nil
	}
	e.files = make(map[string]int64, len(t.assets))
	for _, a := range t.assets {
		digest, size, err := a.sum()
		if err != nil {
			return expectation{}, fmt.Errorf("hash %s: %w", a.name, err)
		}
		e.files[digest] = size
	}
	return e, nil
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
	case len(doc.Media) != len(e.files):
		return fmt.Sprintf("%d media, want %d", len(doc.Media), len(e.files))
	default:
		return e.mediaDeviation(doc.Media)
	}
}

// mediaDeviation compares the files by their digests: what the archive calls
// them is its own affair.
func (e expectation) mediaDeviation(media []result.Media) string {
	seen := make(map[string]bool, len(media))
	for _, m := range media {
		size, served := e.files[m.SHA256]
		switch {
		case !m.Archived():
			return fmt.Sprintf("media %q is not archived", m.Name)
		case !served:
			return fmt.Sprintf("media %q is not what was served", m.Name)
		case m.Bytes != size:
			return fmt.Sprintf("media %q has %d bytes, want %d", m.Name, m.Bytes, size)
		case seen[m.SHA256]:
			return fmt.Sprintf("media %q is there twice", m.Name)
		}
		seen[m.SHA256] = true
	}
	return ""
}

func describe(f *result.Failure) string {
	if f == nil {
		return "none"
	}
	return fmt.Sprintf("%s (retryable %t, refunded %t)", f.Reason, f.Retryable, f.CreditsRefunded)
}
