package simulate

import (
	"strings"
	"testing"
	"time"

	"fanfare/pkg/result"
)

// TestRunSeesWhatBecameOfMedia breaks what a good run records, one thing at a
// time, and wants the tasks called wrong that it concerns, and no other.
func TestRunSeesWhatBecameOfMedia(t *testing.T) {
	t.Parallel()
	given := func(doc result.Document) bool {
		return doc.Archive == result.Partial || doc.Archive == result.AllFailed
	}
	for name, c := range map[string]struct {
		concerns func(result.Document) bool
		alter    func(*result.Document)
		bury     func(DeadLetter) bool
	}{
		"wrong bytes archived": {
			concerns: func(doc result.Document) bool { return doc.Archive == result.Archived },
			alter:    func(doc *result.Document) { doc.Media[0].SHA256 = strings.Repeat("0", 64) },
		},
		"no word of why files are lost": {concerns: given, alter: func(doc *result.Document) {
			for i := range doc.Media {
				doc.Media[i].Error = ""
			}
		}},
		"lost files said to be safe":  {concerns: given, alter: func(doc *result.Document) { doc.Archive = result.Archived }},
		"lost files still waited for": {concerns: given, alter: func(doc *result.Document) { doc.Archive = result.Pending }},
		"dead letters lost":           {concerns: given, bury: func(DeadLetter) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rcv, target := newReceiver(t)
			rcv.records.bury = c.bury
			rcv.records.alter = func(doc result.Document) (result.Document, bool) {
				if c.alter != nil && doc.Outcome == result.Succeeded && c.concerns(doc) {
					doc.Media = append([]result.Media{}, doc.Media...)
					c.alter(&doc)
				}
				return doc, true
			}
			s := newTestSimulator(t, rcv, target, Options{Tasks: 30, Settle: time.Second})
			report := run(t, s)
			concerned := 0
			rcv.consumers.Wait()
			for _, doc := range rcv.records.docs {
				if doc.Outcome == result.Succeeded && c.concerns(doc) {
					concerned++
				}
			}
			if concerned == 0 || report.Wrong != concerned || report.Missing != 0 || !report.Failed() {
				t.Errorf("report %+v, want %d wrong", report, concerned)
			}
		})
	}
}

func TestRunSeesWhoWentIntoATrap(t *testing.T) {
	t.Parallel()
	rcv, target := newReceiver(t)
	s := newTestSimulator(t, rcv, target, Options{Tasks: 60, Settle: time.Second})
	rcv.fetcher = openFetcher(t)
	if report := run(t, s); report.Trapped == 0 || !report.Failed() {
		t.Errorf("report %+v", report)
	}
}
