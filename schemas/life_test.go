package schemas_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/result"
	"fanfare/schemas"
)

// Paths of the world outside, beside the provider's record-info.
const (
	goodImage = "/good.png"
	goodWAV   = "/good.wav"
	brokenWAV = "/broken.wav" // may be had another time
	lostImage = "/lost.png"
)

// outside plays the provider's API and a media host.
func outside(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("taskId")
	var picture bytes.Buffer
	_ = png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8)))
	switch {
	case r.URL.Path == goodImage:
		_, _ = w.Write(picture.Bytes())
	case r.URL.Path == goodWAV:
		_, _ = w.Write([]byte("RIFF\x24\x00\x00\x00WAVEfmt sound"))
	case r.URL.Path == brokenWAV:
		w.WriteHeader(http.StatusInternalServerError)
	case !strings.HasSuffix(r.URL.Path, "record-info"):
		w.WriteHeader(http.StatusNotFound)
	case strings.HasPrefix(id, "found-"):
		_, _ = fmt.Fprintf(w, `{"code":200,"msg":"success","data":{"taskId":%q,"successFlag":"SUCCESS","response":{"audioWavUrl":"http://%s%s"}}}`, id, r.Host, goodWAV)
	default:
		_, _ = fmt.Fprintf(w, `{"code":200,"msg":"success","data":{"taskId":%q,"successFlag":"PENDING","status":"PENDING","response":null}}`, id)
	}
}

// examples are the documented callbacks, by <type>/<what it shows>.json.
func examples(tb testing.TB) map[string]string {
	tb.Helper()
	names, err := fs.Glob(schemas.Files, "examples/*/*.json")
	if err != nil || len(names) == 0 {
		tb.Fatalf("no examples: %v", err)
	}
	found := make(map[string]string, len(names))
	for _, name := range names {
		body, err := schemas.Files.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		found[strings.TrimPrefix(name, "examples/")] = string(body)
	}
	return found
}

// live brings about every kind of message that fanfare stores, by fanfare's own code.
func (r *rig) live() {
	r.tb.Helper()
	for name, body := range examples(r.tb) {
		r.post(callback.Type(path.Dir(name)), body, http.StatusOK)
	}
	r.archive()
	r.contradict()
	r.announce()
	r.bury()
	r.remove()
}

func (r *rig) wav(id, file string) string {
	return fmt.Sprintf(`{"code":200,"msg":"done","data":{"task_id":%q,"audioWavUrl":"%s%s"}}`, id, r.outside.URL, file)
}

// archive brings about results of which files are safe, or some, or none.
func (r *rig) archive() {
	r.tb.Helper()
	r.post("wav", r.wav("safe", goodWAV), http.StatusOK)
	r.post("wav", r.wav("lost", lostImage), http.StatusOK)
	r.post("cover", fmt.Sprintf(`{"code":200,"msg":"done","data":{"taskId":"half","images":["%[1]s%[2]s","%[1]s%[3]s"]}}`, r.outside.URL, goodImage, lostImage), http.StatusOK)
	r.becomes("wav", "safe", func(d result.Document) bool { return d.Archive == result.Archived })
	r.becomes("wav", "lost", func(d result.Document) bool { return d.Archive == result.AllFailed })
	r.becomes("cover", "half", func(d result.Document) bool { return d.Archive == result.Partial })
}

// contradict brings about what is no valid callback, what contradicts a stored one,
// what comes again, and a success after a failure.
func (r *rig) contradict() {
	r.tb.Helper()
	for _, body := range []string{"\x00 not JSON", `{"code":200,"msg":"","data":{}}`, `{"code":200,"msg":"","data":{"task_id":"empty"}}`} {
		r.post("wav", body, http.StatusBadRequest)
	}
	r.post("wav", strings.Replace(r.wav("safe", goodWAV), "done", "other", 1), http.StatusOK)
	eventually.Await(r.tb, "it is noted that a callback came again", func() bool {
		r.post("wav", r.wav("safe", goodWAV), http.StatusOK)
		again, err := r.broker.Ledger().CameAgain(r.tb.Context(), "wav", "safe")
		return err == nil && len(again) > 0
	})
	r.post("wav", `{"code":500,"msg":"no","data":{"task_id":"mended"}}`, http.StatusOK)
	r.becomes("wav", "mended", func(d result.Document) bool { return d.Outcome == result.Failed })
	r.post("wav", r.wav("mended", goodWAV), http.StatusOK)
	r.becomes("wav", "mended", func(d result.Document) bool { return d.Archive == result.Archived && len(d.Conflicts) == 1 })
}

// announce brings about tasks in each state of the ledger.
func (r *rig) announce() {
	r.tb.Helper()
	now := time.Now()
	later := now.Add(4 * time.Minute) // as clocks differ: it is not asked about before
	for _, a := range []ledger.Announcement{
		{TaskID: "awaited-1", SubmittedAt: later},
		{TaskID: "called-1", SubmittedAt: later, Provider: strings.TrimPrefix(r.outside.URL, "http://")},
		{TaskID: "late-1", SubmittedAt: now},
		{TaskID: "found-1", SubmittedAt: now},
		{TaskID: "gone-1", SubmittedAt: now, Deadline: now.Add(giveUp)},
	} {
		if _, err := r.broker.Announce(r.traced(), "wav", a); err != nil {
			r.tb.Fatal(err)
		}
	}
	for _, t := range r.contracts.Types() { // one each, so that every type's subject has one
		if _, err := r.broker.Announce(r.traced(), t, ledger.Announcement{TaskID: "awaited-2", SubmittedAt: later}); err != nil {
			r.tb.Fatal(err)
		}
		r.stands(t, "awaited-2", ledger.Expected)
	}
	r.stands("wav", "awaited-1", ledger.Expected)
	r.stands("wav", "called-1", ledger.Expected)
	r.post("wav", r.wav("called-1", goodWAV), http.StatusOK)
	r.stands("wav", "called-1", ledger.Answered)
	r.stands("wav", "late-1", ledger.Overdue)
	r.stands("wav", "found-1", ledger.Resolved)
	r.stands("wav", "gone-1", ledger.GivenUp)
	r.becomes("wav", "gone-1", func(d result.Document) bool { return d.Failure != nil && d.Failure.Reason == result.NeverReported })
	r.becomes("wav", "found-1", func(d result.Document) bool { return d.Archive == result.Archived })
}

// bury brings about dead letters of every reason but one, and of every type one on
// another go, which ends as the first did.
func (r *rig) bury() {
	r.tb.Helper()
	r.post("wav", r.wav("broken", brokenWAV), http.StatusOK)
	r.dead("gave_up", func(l broker.DeadLetter) bool { return l.TaskID == "broken" })
	for _, t := range r.contracts.Types() {
		letter := r.dead("permanent "+string(t), func(l broker.DeadLetter) bool {
			return l.Type == t && l.Reason == "permanent" && l.Stage == callback.Complete // what is overtaken would do nothing
		})
		if _, err := r.broker.Redeliver(r.traced(), letter.Sequence); err != nil {
			r.tb.Fatal(err)
		}
		r.dead("again "+string(t), func(l broker.DeadLetter) bool { return l.RedeliveryOf == letter.Sequence })
	}
	r.buryInvalid()
}

// buryInvalid stores what is no callback, as nobody of ours does, and takes it away
// when its consumer has made a dead letter of it, which is ours.
func (r *rig) buryInvalid() {
	r.tb.Helper()
	laxer := callback.Callback{Type: "wav", TaskID: "lax", Stage: callback.Complete, Code: 200, Received: time.Now(), Body: []byte("{}")}
	if _, err := r.broker.Publish(r.traced(), laxer); err != nil {
		r.tb.Fatal(err)
	}
	r.dead("invalid", func(l broker.DeadLetter) bool { return l.Reason == "invalid" })
	stream, err := r.js.Stream(r.tb.Context(), broker.StreamCallbacks)
	if err != nil {
		r.tb.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(r.tb.Context(), broker.Subject("wav", callback.Complete))
	if err != nil || string(last.Data) != "{}" {
		r.tb.Fatalf("it is %v, %v", last, err)
	}
	if err := stream.DeleteMsg(r.tb.Context(), last.Sequence); err != nil {
		r.tb.Fatal(err)
	}
}

// remove brings about what stands for a result that a person deleted.
func (r *rig) remove() {
	r.tb.Helper()
	bucket, err := r.js.KeyValue(r.tb.Context(), broker.BucketResults)
	if err == nil {
		err = bucket.Delete(r.tb.Context(), "wav.deleted")
	}
	if err != nil {
		r.tb.Fatal(err)
	}
}

// becomes waits until a task's result is as asked for.
func (r *rig) becomes(t callback.Type, id callback.TaskID, ok func(result.Document) bool) {
	r.tb.Helper()
	eventually.Await(r.tb, fmt.Sprintf("result of %s %s", t, id), func() bool {
		doc, found, err := r.broker.Results().Get(r.tb.Context(), t, id)
		return err == nil && found && ok(doc)
	})
}

// stands waits until the ledger has a task in that state.
func (r *rig) stands(t callback.Type, id callback.TaskID, want ledger.State) {
	r.tb.Helper()
	eventually.Await(r.tb, fmt.Sprintf("%s %s is %s", t, id, want), func() bool {
		e, _, err := r.broker.Ledger().Get(r.tb.Context(), t, id)
		return err == nil && e.State == want
	})
}

// dead waits for a dead letter as asked for.
func (r *rig) dead(what string, ok func(broker.DeadLetter) bool) (found broker.DeadLetter) {
	r.tb.Helper()
	eventually.Await(r.tb, "dead letter: "+what, func() bool {
		there := false
		err := r.broker.DeadLetters(r.tb.Context(), "", func(l broker.DeadLetter) error {
			if !there && ok(l) {
				found, there = l, true
			}
			return nil
		})
		return err == nil && there
	})
	return found
}
