package result_test

import (
	"reflect"
	"slices"
	"testing"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// history is what is said of one task, to be merged in every order.
type history struct {
	name string
	docs []result.Document
	want result.Outcome
	one  bool // every order ends in the same document, but for the order of its conflicts
}

func histories() []history {
	all := settled(completeDoc(), 9, allNames(completeDoc())...)
	again := failedDoc(501, 40)
	again.Message = "the same failure in other words"
	elsewhere := result.New(called(callback.Complete, 200, 6), offered("a.mp3", "c.mp3"))
	return []history{
		{"a life", []result.Document{textDoc(), firstDoc(), completeDoc(), completeDoc()}, result.Succeeded, true},
		{
			"a life with its archive",
			[]result.Document{textDoc(), firstDoc(), settled(firstDoc(), 3, "a.mp3", "a.jpeg"), completeDoc(), having(completeDoc(), "a.mp3"), all},
			result.Succeeded, true,
		},
		{
			"failures around a success",
			[]result.Document{textDoc(), firstDoc(), failedDoc(501, 2), completeDoc(), all, failedDoc(531, 50), again},
			result.Succeeded, true,
		},
		{
			"one failure",
			[]result.Document{textDoc(), firstDoc(), settled(firstDoc(), 3, "a.mp3"), having(firstDoc(), "a.jpeg"), failedDoc(501, 4)},
			result.Failed, true,
		},
		{
			"failures alone",
			[]result.Document{textDoc(), firstDoc(), settled(firstDoc(), 3, "a.mp3"), failedDoc(501, 4), failedDoc(531, 50), again},
			result.Failed, false,
		},
		{
			"two successes that differ",
			[]result.Document{firstDoc(), failedDoc(408, 2), completeDoc(), all, elsewhere, settled(elsewhere, 20, "c.mp3")},
			result.Succeeded, false,
		},
		{
			"an archive that comes in parts",
			[]result.Document{
				textDoc(), completeDoc(), settled(completeDoc(), 9), settled(completeDoc(), 10, "a.mp3"),
				settled(completeDoc(), 11, "b.mp3", "b.jpeg"), having(completeDoc(), "a.jpeg"),
			},
			result.Succeeded, false,
		},
		{
			"progress alone",
			[]result.Document{textDoc(), firstDoc(), settled(firstDoc(), 3, "a.mp3"), result.New(called(callback.First, 200, 7), offered("b.mp3"))},
			result.Progress, false,
		},
		{
			"a success that does not name a file of the first",
			[]result.Document{
				settled(result.New(called(callback.First, 200, 2), offered("z.mp3", "a.mp3")), 3, "z.mp3", "a.mp3"),
				completeDoc(), settled(completeDoc(), 9), failedDoc(501, 4),
			},
			result.Succeeded, false,
		},
	}
}

func TestEveryOrderEndsAlike(t *testing.T) {
	t.Parallel()
	published := publishedSchema(t)
	for _, h := range histories() {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			ends := make(map[string]result.Document)
			permute(h.docs, func(order []result.Document) {
				end := mergeAll(t, order)
				if end.Outcome != h.want {
					t.Fatalf("outcome = %s, want %s after %v", end.Outcome, h.want, statements(order))
				}
				if want := finals(order); len(end.Conflicts) != max(0, want-1) {
					t.Fatalf("%d conflicts after %d different final states: %+v", len(end.Conflicts), want, end.Conflicts)
				}
				ends[encode(t, end)] = end
			})
			for _, end := range ends {
				checkRoundTrip(t, end)
				checkPublished(t, published, end)
			}
			if h.one {
				checkAllAlike(t, ends)
			}
		})
	}
}

// permute calls visit with every order of docs. The slice is reused.
func permute(docs []result.Document, visit func([]result.Document)) {
	var place func(n int)
	place = func(n int) {
		if n == len(docs) {
			visit(docs)
			return
		}
		for i := n; i < len(docs); i++ {
			docs[n], docs[i] = docs[i], docs[n]
			place(n + 1)
			docs[n], docs[i] = docs[i], docs[n]
		}
	}
	place(0)
}

// mergeAll merges docs one after the other and checks every step.
func mergeAll(t *testing.T, docs []result.Document) result.Document {
	t.Helper()
	current := docs[0]
	for _, next := range docs[1:] {
		merged, changed := result.Merge(current, next)
		if same := reflect.DeepEqual(merged, current); same == changed {
			t.Fatalf("changed = %t, but the document is the same: %t", changed, same)
		}
		checkForward(t, current, merged)
		if merged.Times.Started.After(next.Times.Started) {
			t.Fatalf("started %v, which is after %v", merged.Times.Started, next.Times.Started)
		}
		if again, changed := result.Merge(merged, next); changed || !reflect.DeepEqual(again, merged) {
			t.Fatalf("merging %s twice changed the document", next.Stage)
		}
		if again, changed := result.Merge(merged, merged); changed || !reflect.DeepEqual(again, merged) {
			t.Fatal("merging a document with itself changed it")
		}
		current = merged
	}
	return current
}

// checkForward checks that a document has moved in the one direction there is.
func checkForward(t *testing.T, before, after result.Document) {
	t.Helper()
	if certainty(after.Outcome) < certainty(before.Outcome) {
		t.Fatalf("outcome went from %s to %s", before.Outcome, after.Outcome)
	}
	if after.States(before) && safety(after.Archive) < safety(before.Archive) {
		t.Fatalf("archive went from %s to %s", before.Archive, after.Archive)
	}
	if after.Times.Started.After(before.Times.Started) {
		t.Fatalf("started went from %v to %v", before.Times.Started, after.Times.Started)
	}
	for _, m := range before.Media {
		offered := slices.ContainsFunc(after.Media, func(o result.Media) bool { return o.Name == m.Name })
		if m.Archived() && !slices.Contains(after.Media, m) && (offered || after.States(before)) {
			t.Fatalf("%s is no longer known to be safe: %+v became %+v", m.Name, before, after)
		}
	}
	if want := reckoned(after); after.Archive != result.Pending && after.Archive != want {
		t.Fatalf("archive is %s, by the media it is %s: %+v", after.Archive, want, after.Media)
	}
	if len(after.Conflicts) < len(before.Conflicts) || len(after.Conflicts) > 16 {
		t.Fatalf("%d conflicts became %d", len(before.Conflicts), len(after.Conflicts))
	}
	known := map[string]bool{after.Statement: true}
	for _, c := range after.Conflicts {
		if known[c.Statement] || c.Outcome == result.Progress {
			t.Fatalf("conflict %+v is known twice, or no final state", c)
		}
		known[c.Statement] = true
	}
}

// reckoned is the archive's state once the media are not tried again.
func reckoned(doc result.Document) result.Archive {
	doc.Archive = result.None
	doc.Settle(minute(0))
	return doc.Archive
}

func certainty(o result.Outcome) int {
	return slices.Index([]result.Outcome{result.Progress, result.Failed, result.Succeeded}, o)
}

func safety(a result.Archive) int {
	return slices.Index([]result.Archive{result.None, result.Pending, result.AllFailed, result.Partial, result.Archived}, a)
}

// finals counts the different final states in docs.
func finals(docs []result.Document) int {
	seen := make(map[string]bool)
	for _, doc := range docs {
		if doc.Outcome != result.Progress {
			seen[doc.Statement] = true
		}
	}
	return len(seen)
}

func statements(docs []result.Document) []string {
	said := make([]string, len(docs))
	for i, doc := range docs {
		said[i] = string(doc.Stage) + "/" + string(doc.Archive)
	}
	return said
}

// checkAllAlike checks that the documents differ in their conflicts' order alone.
func checkAllAlike(t *testing.T, ends map[string]result.Document) {
	t.Helper()
	var want *result.Document
	for _, end := range ends {
		end.Conflicts = nil
		if want == nil {
			want = &end
		}
		if !reflect.DeepEqual(end, *want) {
			t.Fatalf("one order ends in\n%+v\nanother in\n%+v", *want, end)
		}
	}
}
