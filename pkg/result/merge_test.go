package result_test

import (
	"reflect"
	"slices"
	"testing"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

func TestProgressNeverReplacesAFinalState(t *testing.T) {
	t.Parallel()
	for name, final := range map[string]result.Document{"success": completeDoc(), "failure": failedDoc(501, 3)} {
		for _, late := range []result.Document{
			result.New(called(callback.Text, 200, 30), nil),
			result.New(called(callback.First, 200, 30), offered("a.mp3")),
			result.New(called(callback.Other, 200, 30), nil),
			settled(result.New(called(callback.First, 200, 30), offered("a.mp3")), 31, "a.mp3"),
		} {
			merged, changed := result.Merge(final, late)
			if changed || !reflect.DeepEqual(merged, final) {
				t.Errorf("%s became %+v by a late %s", name, merged, late.Stage)
			}
		}
	}
}

func TestSuccessReplacesFailureWhicheverComesFirst(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]result.Document{
		"failure first": {failedDoc(501, 2), completeDoc()},
		"success first": {completeDoc(), failedDoc(501, 2)},
	} {
		merged, changed := result.Merge(pair[0], pair[1])
		if !changed || !merged.States(completeDoc()) || merged.Failure != nil || merged.Archive != result.Pending {
			t.Errorf("%s: became %+v", name, merged)
		}
		want := result.Conflict{
			Stage: callback.Error, Outcome: result.Failed, Code: 501, Message: "a text for people",
			Received: minute(2), Statement: failedDoc(501, 2).Statement,
		}
		if !slices.Equal(merged.Conflicts, []result.Conflict{want}) {
			t.Errorf("%s: conflicts = %+v, want %+v", name, merged.Conflicts, want)
		}
		if merged.Times.Started != minute(2) || merged.Times.Received != minute(3) {
			t.Errorf("%s: times = %+v", name, merged.Times)
		}
	}
}

func TestConflictsAreKeptOnceAndAtMostSixteen(t *testing.T) {
	t.Parallel()
	doc := completeDoc()
	for code := range int32(30) {
		for range 2 {
			next, _ := result.Merge(doc, failedDoc(600+code, 10))
			checkForward(t, doc, next)
			doc = next
		}
		if want := min(int(code)+1, 16); len(doc.Conflicts) != want {
			t.Fatalf("%d conflicts after %d contradictions, want %d", len(doc.Conflicts), code+1, want)
		}
	}
	if !doc.States(completeDoc()) || doc.Conflicts[0].Code != 600 || doc.Conflicts[15].Code != 615 {
		t.Errorf("kept %+v, want the first sixteen", doc.Conflicts)
	}
}

// Two documents that share a list of conflicts must not write into each other's.
func TestMergeLeavesItsArgumentsAlone(t *testing.T) {
	t.Parallel()
	base, _ := result.Merge(completeDoc(), failedDoc(501, 4))
	base.Conflicts = slices.Grow(base.Conflicts, 8)
	base.Media = slices.Grow(base.Media, 8)
	before := encode(t, base)
	one, _ := result.Merge(base, failedDoc(502, 5))
	two, _ := result.Merge(base, settled(completeDoc(), 9, "a.mp3"))
	three, _ := result.Merge(base, failedDoc(503, 5))
	if got := encode(t, base); got != before {
		t.Errorf("the argument became %s, was %s", got, before)
	}
	if one.Conflicts[1].Code != 502 || three.Conflicts[1].Code != 503 || len(two.Conflicts) != 1 {
		t.Errorf("conflicts are shared: %+v, %+v, %+v", one.Conflicts, two.Conflicts, three.Conflicts)
	}
}

func TestFilesOfTheFirstAreKnownToTheComplete(t *testing.T) {
	t.Parallel()
	merged, _ := result.Merge(settled(firstDoc(), 3, "a.mp3", "a.jpeg"), completeDoc())
	if merged.Archive != result.Pending || !merged.Times.Archived.IsZero() {
		t.Errorf("archive %s at %v, want it pending for the rest", merged.Archive, merged.Times.Archived)
	}
	if want := having(completeDoc(), "a.mp3", "a.jpeg").Media[:2]; !slices.Equal(merged.Media[:2], want) {
		t.Errorf("media = %+v, want the first two as archived", merged.Media)
	}
}

// A failure has no media, whichever callback was first: a document must not
// depend on the order.
func TestAFailureOffersNoFiles(t *testing.T) {
	t.Parallel()
	first, failure := settled(firstDoc(), 3, "a.mp3"), failedDoc(501, 4)
	for name, pair := range map[string][2]result.Document{"first, failure": {first, failure}, "failure, first": {failure, first}} {
		merged, _ := result.Merge(pair[0], pair[1])
		if !merged.States(failure) || merged.Archive != result.None || len(merged.Media) != 0 || !merged.Times.Expires.IsZero() {
			t.Errorf("%s: became %+v", name, merged)
		}
	}
}

// What was given up for the complete may be safe from the first.
func TestAGivenUpFileOfTheFirstIsSafe(t *testing.T) {
	t.Parallel()
	merged, _ := result.Merge(settled(firstDoc(), 3, "a.mp3", "a.jpeg"), settled(completeDoc(), 9, "b.mp3", "b.jpeg"))
	if merged.Archive != result.Archived || merged.Times.Archived != minute(9) {
		t.Errorf("archive %s at %v, want it complete: %+v", merged.Archive, merged.Times.Archived, merged.Media)
	}
}

func TestALaterErrorOfAFileCounts(t *testing.T) {
	t.Parallel()
	doc, _ := result.Merge(completeDoc(), having(completeDoc(), "a.mp3"))
	later := having(completeDoc(), "b.mp3")
	for i := range later.Media {
		if later.Media[i].Error != "" {
			later.Media[i].Error = "gone"
		}
	}
	doc, changed := result.Merge(doc, later)
	var said []string
	for _, m := range doc.Media {
		said = append(said, m.Error)
	}
	if want := []string{"", "gone", "", "gone"}; !changed || !slices.Equal(said, want) {
		t.Errorf("errors = %q, want %q", said, want)
	}
}

// Two deliveries may each have given up what the other has.
func TestTwoPartsMakeAWhole(t *testing.T) {
	t.Parallel()
	parts := []result.Document{
		settled(completeDoc(), 9, "a.mp3", "a.jpeg"),
		settled(completeDoc(), 10, "b.mp3", "b.jpeg"),
	}
	for range 2 {
		slices.Reverse(parts)
		merged, changed := result.Merge(parts[0], parts[1])
		if !changed || merged.Archive != result.Archived {
			t.Errorf("archive = %s, want it complete: %+v", merged.Archive, merged.Media)
		}
	}
}
