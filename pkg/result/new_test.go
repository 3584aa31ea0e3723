package result_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

func TestFailureOfEveryDocumentedCode(t *testing.T) {
	t.Parallel()
	seen := make(map[result.Reason]bool)
	for _, row := range []struct {
		code int32
		want result.Failure
	}{
		{400, result.Failure{Reason: result.InvalidRequest}},
		{408, result.Failure{Reason: result.Timeout, Retryable: true}},
		{413, result.Failure{Reason: result.ContentRejected}},
		{451, result.Failure{Reason: result.SourceUnavailable}},
		{500, result.Failure{Reason: result.ProviderError, Retryable: true}},
		{501, result.Failure{Reason: result.GenerationFailed, Retryable: true}},
		{531, result.Failure{Reason: result.GenerationRefunded, Retryable: true, CreditsRefunded: true}},
		{200, result.Failure{Reason: result.Unknown}}, // callbackType error with a success code
		{0, result.Failure{Reason: result.Unknown}},
		{404, result.Failure{Reason: result.Unknown}},
		{502, result.Failure{Reason: result.Unknown}},
		{-500, result.Failure{Reason: result.Unknown}},
	} {
		doc := failedDoc(row.code, 4)
		if doc.Outcome != result.Failed || doc.Failure == nil || *doc.Failure != row.want {
			t.Errorf("code %d: outcome %s, failure %+v; want %+v", row.code, doc.Outcome, doc.Failure, row.want)
		}
		if doc.Code != row.code || doc.Archive != result.None || len(doc.Media) != 0 {
			t.Errorf("code %d: document %+v", row.code, doc)
		}
		seen[row.want.Reason] = true
	}
	for _, reason := range result.Reasons() {
		if !seen[reason] && reason != result.NeverReported { // which is no code's
			t.Errorf("no code makes the reason %s", reason)
		}
	}
}

func TestOutcomeFollowsTheStage(t *testing.T) {
	t.Parallel()
	for stage, want := range map[callback.Stage]result.Outcome{
		callback.Text:     result.Progress,
		callback.First:    result.Progress,
		callback.Other:    result.Progress,
		callback.Complete: result.Succeeded,
		callback.Error:    result.Failed,
	} {
		doc := result.New(called(stage, 200, 1), nil)
		if doc.Outcome != want || (doc.Failure != nil) != (want == result.Failed) {
			t.Errorf("stage %s: outcome %s with failure %v, want %s", stage, doc.Outcome, doc.Failure, want)
		}
	}
}

func TestNewStatesTheCallback(t *testing.T) {
	t.Parallel()
	cb := called(callback.First, 200, 5)
	cb.Received = cb.Received.In(time.FixedZone("elsewhere", 3600))
	doc := result.New(cb, nil)
	if doc.Type != cb.Type || doc.TaskID != cb.TaskID || doc.Stage != cb.Stage || doc.Code != cb.Code || doc.Message != cb.Message {
		t.Errorf("document %+v of callback %+v", doc, cb)
	}
	if doc.Times != (result.Times{Started: minute(5), Received: minute(5)}) {
		t.Errorf("times = %+v, want started and received in UTC alone", doc.Times)
	}
	if doc.Archive != result.None || doc.Media == nil || len(doc.Media) != 0 || doc.Conflicts != nil {
		t.Errorf("archive %s, media %v, conflicts %v; want nothing", doc.Archive, doc.Media, doc.Conflicts)
	}
}

func TestLinksExpireWhereThereAreMedia(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]result.Document{"first": firstDoc(), "complete": completeDoc()} {
		if want := doc.Times.Received.AddDate(0, 0, 14); !doc.Times.Expires.Equal(want) {
			t.Errorf("%s: expires %v, want %v", name, doc.Times.Expires, want)
		}
		if doc.Archive != result.Pending || !doc.Times.Archived.IsZero() {
			t.Errorf("%s: archive %s at %v, want it pending", name, doc.Archive, doc.Times.Archived)
		}
	}
	for name, doc := range map[string]result.Document{"text": textDoc(), "failed": failedDoc(501, 1)} {
		if !doc.Times.Expires.IsZero() {
			t.Errorf("%s: expires %v without media", name, doc.Times.Expires)
		}
	}
}

func TestMessageIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, in string
		want     int
	}{
		{"empty", "", 0},
		{"1024 bytes", strings.Repeat("a", 1024), 1024},
		{"1025 bytes", strings.Repeat("a", 1025), 1024},
		{"two bytes that fit", strings.Repeat("é", 600), 1024},
		{"two bytes across the edge", "a" + strings.Repeat("é", 600), 1023},
		{"three bytes across the edge", strings.Repeat("音", 600), 1023},
		{"four bytes, one over", "a" + strings.Repeat("😀", 300), 1021},
		{"four bytes, three over", "aaa" + strings.Repeat("😀", 300), 1023},
		{"a megabyte", strings.Repeat("音", 1<<20/3), 1023},
	} {
		cb := called(callback.Text, 200, 1)
		cb.Message = row.in
		got := result.New(cb, nil).Message
		if len(got) != row.want || !utf8.ValidString(got) || !strings.HasPrefix(row.in, got) {
			t.Errorf("%s: cut to %d bytes, want the first %d", row.name, len(got), row.want)
		}
	}
}

func TestStatementsDifferInWhatMatters(t *testing.T) {
	t.Parallel()
	later := called(callback.Complete, 0, 30)
	later.Message = "another text"
	again := result.New(later, offered("a.mp3", "a.jpeg", "b.mp3", "b.jpeg"))
	if !again.States(completeDoc()) {
		t.Error("time, text and success code make another statement")
	}
	if archived := settled(completeDoc(), 9, "a.mp3"); !archived.States(completeDoc()) {
		t.Error("what became of the media makes another statement")
	}
	moved := offered("a.mp3", "a.jpeg", "b.mp3", "b.jpeg")
	moved[2].SourceURL += "?other"
	statements := []string{
		completeDoc().Statement,
		result.New(called(callback.Complete, 200, 3), moved).Statement,
		result.New(called(callback.Complete, 200, 3), offered("a.mp3", "a.jpeg")).Statement,
		result.New(called(callback.First, 200, 3), offered("a.mp3", "a.jpeg")).Statement,
		textDoc().Statement,
		failedDoc(501, 1).Statement,
		failedDoc(531, 1).Statement,
		failedDoc(599, 1).Statement,
		failedDoc(598, 1).Statement,
	}
	if slices.Sort(statements); len(slices.Compact(statements)) != 9 {
		t.Errorf("among %v some are equal", statements)
	}
}

func TestKeyIsTheFilesPlaceInTheArchive(t *testing.T) {
	t.Parallel()
	if got, want := textDoc().Key("a.mp3"), "music/2fac=2A=2A=2A=2A9f72/a.mp3"; got != want {
		t.Errorf("Key = %s, want %s", got, want)
	}
}

func TestSettleSaysWhatBecameOfTheMedia(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		safe []string
		want result.Archive
	}{
		{"none safe", nil, result.AllFailed},
		{"one safe", []string{"b.mp3"}, result.Partial},
		{"all but one safe", []string{"a.mp3", "a.jpeg", "b.mp3"}, result.Partial},
		{"all safe", []string{"a.mp3", "a.jpeg", "b.mp3", "b.jpeg"}, result.Archived},
	} {
		doc := having(completeDoc(), row.safe...)
		doc.Settle(minute(9).In(time.FixedZone("elsewhere", -3600)))
		if doc.Archive != row.want || doc.Times.Archived != minute(9) {
			t.Errorf("%s: archive %s at %v, want %s at %v", row.name, doc.Archive, doc.Times.Archived, row.want, minute(9))
		}
	}
	doc := textDoc()
	doc.Settle(minute(9))
	if doc.Archive != result.None || !doc.Times.Archived.IsZero() {
		t.Errorf("without media: archive %s at %v", doc.Archive, doc.Times.Archived)
	}
}
