package result_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// minute is a time of day of the task that all tests speak of.
func minute(n int) time.Time {
	return time.Date(2026, time.March, 1, 12, n, 0, 123456789, time.UTC)
}

// called is a callback of the task, received in that minute.
func called(stage callback.Stage, code int32, received int) callback.Callback {
	return callback.Callback{
		Type: "music", TaskID: "2fac****9f72", Stage: stage, Code: code,
		Message: "a text for people", Received: minute(received),
	}
}

// offered describes files that the provider offers.
func offered(names ...string) []result.Media {
	files := make([]result.Media, len(names))
	for i, name := range names {
		files[i] = result.Media{Name: name, SourceURL: "https://example.com/r/" + name}
	}
	return files
}

func textDoc() result.Document { return result.New(called(callback.Text, 200, 1), nil) }

func firstDoc() result.Document {
	return result.New(called(callback.First, 200, 2), offered("a.mp3", "a.jpeg"))
}

func completeDoc() result.Document {
	return result.New(called(callback.Complete, 200, 3), offered("a.mp3", "a.jpeg", "b.mp3", "b.jpeg"))
}

func failedDoc(code int32, received int) result.Document {
	return result.New(called(callback.Error, code, received), nil)
}

// having returns the document with these files safe in the archive.
func having(doc result.Document, names ...string) result.Document {
	doc.Media = slices.Clone(doc.Media)
	for i, m := range doc.Media {
		if slices.Contains(names, m.Name) {
			m.Key, m.Bytes, m.ContentType = doc.Key(m.Name), 1000, "audio/mpeg"
			m.SHA256 = strings.Repeat("0f", 32)
		} else {
			m.Error = "timeout"
		}
		doc.Media[i] = m
	}
	return doc
}

// settled is having, and no more to come.
func settled(doc result.Document, received int, names ...string) result.Document {
	doc = having(doc, names...)
	doc.Settle(minute(received))
	return doc
}

func allNames(doc result.Document) []string {
	names := make([]string, len(doc.Media))
	for i, m := range doc.Media {
		names[i] = m.Name
	}
	return names
}

// everyKind is one document of each kind that there is, by what it shows.
func everyKind(tb testing.TB) map[string]result.Document {
	tb.Helper()
	contradicted, changed := result.Merge(completeDoc(), failedDoc(531, 4))
	if !changed {
		tb.Fatal("a contradicting failure changed nothing")
	}
	return map[string]result.Document{
		"text":                 textDoc(),
		"first":                firstDoc(),
		"first, settled":       settled(firstDoc(), 3, "a.mp3", "a.jpeg"),
		"complete, pending":    completeDoc(),
		"complete, on the way": having(completeDoc(), "a.mp3"),
		"complete, all safe":   settled(completeDoc(), 9, allNames(completeDoc())...),
		"complete, some safe":  settled(completeDoc(), 9, "b.mp3"),
		"complete, none safe":  settled(completeDoc(), 9),
		"complete, no media":   result.New(called(callback.Complete, 0, 3), nil),
		"failed, refunded":     failedDoc(531, 4),
		"failed, unknown":      failedDoc(-2147483648, 4),
		"failed, code 200":     failedDoc(200, 4),
		"contradicted":         contradicted,
	}
}
