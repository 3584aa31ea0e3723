package result_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/result"
)

func encode(tb testing.TB, doc result.Document) string {
	tb.Helper()
	encoded, err := json.Marshal(doc, json.Deterministic(true))
	if err != nil {
		tb.Fatal(err)
	}
	return string(encoded)
}

// checkRoundTrip checks that a document is the same once it was written and read.
func checkRoundTrip(t *testing.T, doc result.Document) {
	t.Helper()
	var back result.Document
	if err := json.Unmarshal([]byte(encode(t, doc)), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, doc) {
		t.Errorf("came back as\n%+v\nwas\n%+v", back, doc)
	}
}

func TestDocumentsSurviveEncoding(t *testing.T) {
	t.Parallel()
	for name, doc := range everyKind(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRoundTrip(t, doc)
		})
	}
}

func TestWhatIsNotKnownIsLeftOut(t *testing.T) {
	t.Parallel()
	encoded := encode(t, textDoc())
	for _, name := range []string{"failure", "conflicts", "archived", "expires", "null", "0001-01-01"} {
		if strings.Contains(encoded, name) {
			t.Errorf("%s is in %s", name, encoded)
		}
	}
	if !strings.Contains(encoded, `"media":[]`) {
		t.Errorf("no empty list of media in %s", encoded)
	}
}
