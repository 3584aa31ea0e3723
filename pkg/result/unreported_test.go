package result_test

import (
	"reflect"
	"testing"

	"fanfare/pkg/result"
)

func unreportedDoc() result.Document {
	called := completeDoc()
	return result.Unreported(called.Type, called.TaskID, minute(0), minute(50))
}

func TestUnreportedTaskIsAFailureOfOurOwn(t *testing.T) {
	t.Parallel()
	doc := unreportedDoc()
	if doc.Outcome != result.Failed || *doc.Failure != (result.Failure{Reason: result.NeverReported, Retryable: true}) {
		t.Errorf("%+v", doc)
	}
	checkPublished(t, publishedSchema(t), doc)
	for name, before := range map[string]result.Document{"text": textDoc(), "first": firstDoc()} {
		if merged, changed := result.Merge(before, doc); !changed || !merged.States(doc) || len(merged.Conflicts) > 0 {
			t.Errorf("after %s: %+v", name, merged)
		}
	}
}

// What the provider says of a task counts, whenever it says so, and contradicts
// nothing that we only did not know.
func TestWhatTheProviderSaysReplacesUnreported(t *testing.T) {
	t.Parallel()
	for name, final := range map[string]result.Document{"success": completeDoc(), "failure": failedDoc(501, 3)} {
		late, changed := result.Merge(unreportedDoc(), final)
		if !changed || !late.States(final) || len(late.Conflicts) > 0 {
			t.Errorf("late %s: %+v", name, late)
		}
		if early, changed := result.Merge(final, unreportedDoc()); changed || !reflect.DeepEqual(early, final) {
			t.Errorf("early %s became %+v", name, early)
		}
	}
}
