package result

import "slices"

// maxConflicts bounds how many contradicting final states a document keeps; the
// callbacks themselves are on the stream.
const maxConflicts = 16

// Merge returns what is known once next is known as well as current, and
// whether that says more than current did.
func Merge(current, next Document) (merged Document, changed bool) {
	if next.unreported() && current.Outcome != Progress {
		return current, false // what the provider did say counts
	}
	merged = current
	switch {
	case current.Statement == next.Statement:
		merged, changed = advance(current, next)
	case next.rank() > current.rank():
		merged, changed = supersede(current, next), true
	case next.Outcome != Progress:
		merged, changed = current.withConflict(next)
	}
	if next.Times.Started.Before(merged.Times.Started) {
		merged.Times.Started, changed = next.Times.Started, true
	}
	return merged, changed
}

// States reports whether the document states what other does, so that other's
// media are the document's.
func (d Document) States(other Document) bool {
	return d.Statement == other.Statement
}

// unreported reports whether the document says only that nothing is known.
func (d Document) unreported() bool {
	return d.Failure != nil && d.Failure.Reason == NeverReported
}

func (d Document) rank() int {
	switch {
	case d.Outcome == Succeeded:
		return 4
	case d.unreported():
		return 2
	case d.Outcome == Failed:
		return 3
	case len(d.Media) > 0:
		return 1
	default:
		return 0
	}
}

// advance takes over what next knows of the media of the same statement. The two
// together may have more files than either.
func advance(current, next Document) (Document, bool) {
	merged := current
	merged.Media = mergeMedia(current.Media, next.Media)
	if next.Archive.rank() > current.Archive.rank() {
		merged.Archive = next.Archive
		merged.Times.Archived = next.Times.Archived
	}
	if merged.Archive != Pending {
		merged.Settle(merged.Times.Archived)
	}
	changed := merged.Archive != current.Archive || !slices.Equal(merged.Media, current.Media)
	return merged, changed
}

// supersede puts next in current's place, without forgetting which of its files
// are safe already, conflicts, or a failure that a success replaces. Files that
// next does not offer are not its: a document must not depend on the order.
func supersede(current, next Document) Document {
	merged := next
	merged.Media = mergeMedia(next.Media, current.Media)
	if merged.Archive != Pending {
		merged.Settle(merged.Times.Archived)
	}
	merged.Conflicts = current.Conflicts
	if current.Times.Started.Before(merged.Times.Started) {
		merged.Times.Started = current.Times.Started
	}
	if current.Outcome != Progress && !current.unreported() {
		merged, _ = merged.withConflict(current)
	}
	return merged
}

// mergeMedia returns the files of base, each with what more says of the file of
// that name: a file that is safe stays so, of the others the later error counts.
func mergeMedia(base, more []Media) []Media {
	merged := slices.Clone(base)
	for i, m := range merged {
		at := slices.IndexFunc(more, func(o Media) bool { return o.Name == m.Name })
		if at < 0 || m.Archived() {
			continue
		}
		if other := more[at]; other.Archived() || other.Error != "" {
			merged[i] = other
		}
	}
	return merged
}

// withConflict returns the document with other among its conflicts, unless it is
// there already or there are too many.
func (d Document) withConflict(other Document) (Document, bool) {
	known := slices.ContainsFunc(d.Conflicts, func(c Conflict) bool { return c.Statement == other.Statement })
	if known || len(d.Conflicts) >= maxConflicts {
		return d, false
	}
	d.Conflicts = append(slices.Clone(d.Conflicts), Conflict{
		Stage:     other.Stage,
		Outcome:   other.Outcome,
		Code:      other.Code,
		Message:   other.Message,
		Received:  other.Times.Received,
		Statement: other.Statement,
	})
	return d, true
}
