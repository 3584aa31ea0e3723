package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
)

func document(cb callback.Callback, names ...string) result.Document {
	var media []result.Media
	for _, name := range names {
		media = append(media, result.Media{Name: name, SourceURL: "https://example.com/" + name})
	}
	return result.New(cb, media)
}

func merge(tb testing.TB, r *broker.Results, doc result.Document) broker.Merged {
	tb.Helper()
	merged, err := r.Merge(tb.Context(), doc)
	if err != nil {
		tb.Fatal(err)
	}
	return merged
}

// get returns a result, and whether there is one.
func get(tb testing.TB, r *broker.Results, t callback.Type, id callback.TaskID) (result.Document, bool) {
	tb.Helper()
	doc, found, err := r.Get(tb.Context(), t, id)
	if err != nil {
		tb.Fatal(err)
	}
	return doc, found
}

// text is a document as it is stored; equal documents have equal texts.
func text(tb testing.TB, doc result.Document) string {
	tb.Helper()
	slices.SortFunc(doc.Conflicts, func(a, b result.Conflict) int { return strings.Compare(a.Statement, b.Statement) })
	raw, err := json.Marshal(doc, json.Deterministic(true))
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

func same(tb testing.TB, what string, got, want result.Document) {
	tb.Helper()
	if a, b := text(tb, got), text(tb, want); a != b {
		tb.Errorf("%s is\n  %s\nwant\n  %s", what, a, b)
	}
}

func bucket(tb testing.TB, js jetstream.JetStream) jetstream.KeyValue {
	tb.Helper()
	kv, err := js.KeyValue(tb.Context(), "RESULTS")
	if err != nil {
		tb.Fatal(err)
	}
	return kv
}

// stage is the task's callback of another stage, received some seconds later.
func stage(id string, s callback.Stage, code int32, seconds int) callback.Callback {
	cb := wav(id)
	cb.Stage, cb.Code = s, code
	cb.Received = cb.Received.Add(time.Duration(seconds) * time.Second)
	return cb
}

// archived is the document once a file of it is safe.
func archived(doc result.Document, name string) result.Document {
	doc.Media = slices.Clone(doc.Media)
	for i := range doc.Media {
		if doc.Media[i].Name == name {
			doc.Media[i].Key, doc.Media[i].Bytes, doc.Media[i].SHA256 = doc.Key(name), 7, strings.Repeat("a", 64)
		}
	}
	return doc
}

func TestResultOfAnUnknownTaskIsNone(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	if doc, found := get(t, b.Results(), "wav", "t"); found {
		t.Errorf("found %+v", doc)
	}
}

func TestFirstMergeCreatesTheResult(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	doc := document(stage("t", callback.Complete, 200, 0), "a.wav")
	merged := merge(t, b.Results(), doc)
	if !merged.Changed || merged.Before.TaskID != "" {
		t.Errorf("merged %+v", merged)
	}
	same(t, "the merged result", merged.After, doc)
	found, ok := get(t, b.Results(), "wav", "t")
	if !ok {
		t.Fatal("no result")
	}
	same(t, "the stored result", found, doc)
	entry, err := bucket(t, js).Get(t.Context(), "wav.t")
	if err != nil || string(entry.Value()) != text(t, doc) {
		t.Errorf("entry %v, %v", entry, err)
	}
}

func TestMergeMovesTheResultForwardOnly(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	results := b.Results()
	first := document(stage("t", callback.First, 200, 0), "a.wav")
	complete := document(stage("t", callback.Complete, 200, 5), "a.wav")
	merge(t, results, first)
	merged := merge(t, results, complete)
	same(t, "the result before", merged.Before, first)
	want, _ := result.Merge(first, complete)
	same(t, "the result after", merged.After, want)
	if merged := merge(t, results, first); merged.Changed {
		t.Errorf("progress replaced a final state: %+v", merged)
	}
	found, _ := get(t, results, "wav", "t")
	same(t, "the stored result", found, want)
}

func TestMergeThatChangesNothingWritesNothing(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	doc := document(stage("t", callback.Complete, 200, 0), "a.wav")
	merge(t, b.Results(), doc)
	before := streamState(t, js, "KV_RESULTS")
	for range 3 {
		merged := merge(t, b.Results(), doc)
		if merged.Changed {
			t.Errorf("changed: %+v", merged)
		}
		same(t, "the result before", merged.Before, doc)
		same(t, "the result after", merged.After, doc)
	}
	if after := streamState(t, js, "KV_RESULTS"); after != before {
		t.Errorf("the bucket went from revision %d to %d", before, after)
	}
}

// streamState is a stream's last sequence.
func streamState(tb testing.TB, js jetstream.JetStream, name string) uint64 {
	tb.Helper()
	stream, err := js.Stream(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

func TestConcurrentMergesLoseNothing(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	shared, other := natstest.Provisioned(t, server).Results(), natstest.Connect(t, server).Results()

	complete := document(stage("t", callback.Complete, 200, 9), "0.wav", "1.wav", "2.wav", "3.wav", "4.wav", "5.wav", "6.wav", "7.wav", "8.wav")
	all := []result.Document{
		document(stage("t", callback.Text, 200, 3)),
		document(stage("t", callback.First, 200, 6), "0.wav"),
		complete,
		document(stage("t", callback.Error, 501, 7)),
		document(stage("t", callback.Error, 531, 8)),
		document(stage("t", callback.Other, 200, 1)),
		archived(document(stage("t", callback.First, 200, 6), "0.wav"), "0.wav"),
	}
	for i := range 9 {
		all = append(all, archived(complete, fmt.Sprintf("%d.wav", i)))
	}
	want := all[0]
	for _, doc := range all[1:] {
		want, _ = result.Merge(want, doc)
	}

	var writers sync.WaitGroup
	begin := make(chan struct{})
	for i, doc := range all {
		results := shared
		if i%2 == 1 {
			results = other
		}
		writers.Go(func() {
			<-begin
			if _, err := results.Merge(t.Context(), doc); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	writers.Wait()
	if len(all) != 16 {
		t.Errorf("%d writers", len(all))
	}
	found, _ := get(t, shared, "wav", "t")
	same(t, "the result", found, want)
}

func TestTaskIDsAreSafeKeysAndDoNotMeet(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	results := b.Results()
	ids := []string{"t", "T", "t.", ".t", "t*", "t:", "t-", "t_", "t=2A", ">", "t..u", "t.u", "../t", "t u", "é"}
	for _, id := range ids {
		doc := document(stage(id, callback.Complete, 200, 0), "a.wav")
		if merged := merge(t, results, doc); !merged.Changed || merged.Before.TaskID != "" {
			t.Errorf("%q meets %q", id, merged.Before.TaskID)
		}
	}
	music := wav("t")
	music.Type = "music"
	merge(t, results, document(music))
	for _, id := range ids {
		if doc, found := get(t, results, "wav", callback.TaskID(id)); !found || string(doc.TaskID) != id {
			t.Errorf("%q: found %q", id, doc.TaskID)
		}
	}
	for _, pattern := range []string{"*", ">", "t*"} {
		if doc, found := get(t, results, "music", callback.TaskID(pattern)); found {
			t.Errorf("%q is a pattern: found %q", pattern, doc.TaskID)
		}
	}
	for key, id := range map[string]string{"wav.t=2A": "t*", "wav.t=3D2A": "t=2A", "wav.=2E=2E=2Ft": "../t"} {
		entry, err := bucket(t, js).Get(t.Context(), key)
		if err != nil || !strings.Contains(string(entry.Value()), fmt.Sprintf("%q", id)) {
			t.Errorf("%s holds %v, %v, want task %s", key, entry, err, id)
		}
	}
}

func TestValueThatIsNoResultIsAnError(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for i, value := range []string{"", "{", "null!", `"text"`, `[]`, `{"code":"200"}`, `{"times":{"started":"yesterday"}}`, "\xff"} {
		id := fmt.Sprintf("t%d", i)
		if _, err := bucket(t, js).PutString(t.Context(), "wav."+id, value); err != nil {
			t.Fatal(err)
		}
		if doc, found, err := b.Results().Get(t.Context(), "wav", callback.TaskID(id)); err == nil || errors.Is(err, broker.ErrUnavailable) || found || !strings.Contains(err.Error(), "wav."+id) {
			t.Errorf("get of %q: %+v, %v, %v", value, doc, found, err)
		}
		if merged, err := b.Results().Merge(t.Context(), document(wav(id))); err == nil || errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("merge into %q: %+v, %v", value, merged, err)
		}
		if entry, err := bucket(t, js).Get(t.Context(), "wav."+id); err != nil || string(entry.Value()) != value {
			t.Errorf("%q was overwritten: %v, %v", value, entry, err)
		}
	}
}

func TestResultThatWasDeletedIsCreatedAgain(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	results := b.Results()
	doc := document(wav("t"))
	merge(t, results, doc)
	for name, remove := range map[string]func() error{
		"delete": func() error { return bucket(t, js).Delete(t.Context(), "wav.t") },
		"purge": func() error {
			gone := nats.NewMsg("$KV.RESULTS.wav.t")
			gone.Header.Set("KV-Operation", "PURGE")
			_, err := js.PublishMsg(t.Context(), gone)
			return err
		},
	} {
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		if _, found := get(t, results, "wav", "t"); found {
			t.Errorf("%s: found", name)
		}
		if merged := merge(t, results, doc); !merged.Changed {
			t.Errorf("%s: %+v", name, merged)
		}
	}
}

func TestBucketIsLookedUpWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	results := natstest.Connect(t, server).Results()
	if _, _, err := results.Get(t.Context(), "wav", "t"); !errors.Is(err, broker.ErrUnavailable) || !strings.Contains(err.Error(), "RESULTS") {
		t.Errorf("get: %v", err)
	}
	if _, err := results.Merge(t.Context(), document(wav("t"))); !errors.Is(err, broker.ErrUnavailable) || !strings.Contains(err.Error(), "RESULTS") {
		t.Errorf("merge: %v", err)
	}
	natstest.Provisioned(t, server)
	merge(t, results, document(wav("t")))
	if _, found := get(t, results, "wav", "t"); !found {
		t.Error("no result")
	}
}

func TestMergeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	results := natstest.Provisioned(t, server).Results()
	merge(t, results, document(wav("t")))
	server.Stop()
	begun := time.Now()
	if _, err := results.Merge(within(t, moment), document(wav("u"))); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%v is no ErrUnavailable", err)
	}
	if took := time.Since(begun); took > patience/3 {
		t.Errorf("gave up only after %s", took)
	}
}
