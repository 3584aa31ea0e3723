package broker_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/format"
	"fanfare/pkg/ledger"
)

// What an earlier release stored has no version, or a lower one; it is read, and when
// it changes has the present one.
func TestStoredWithoutAVersionIsOfTheFirst(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	doc := document(stage("t", callback.First, 200, 0), "a.wav")
	old := strings.Replace(text(t, doc), `"version":1,`, "", 1)
	if _, err := bucket(t, js).Put(t.Context(), "wav.t", []byte(old)); err != nil || strings.Contains(old, "version") {
		t.Fatal(old, err)
	}
	got, _ := get(t, b.Results(), "wav", "t")
	same(t, "the old result", got, doc)
	merge(t, b.Results(), document(stage("t", callback.Complete, 200, 1), "a.wav"))
	if entry, err := bucket(t, js).Get(t.Context(), "wav.t"); err != nil || !strings.Contains(string(entry.Value()), `"version":1,`) {
		t.Errorf("%v, %v", entry, err)
	}

	kv, err := js.KeyValue(t.Context(), "TASKS_STATE")
	if err != nil {
		t.Fatal(err)
	}
	e, err := ledger.New("wav", announcement("t"), time.Now(), time.Minute, time.Hour).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "wav.t", strings.Replace(string(e), `"version":1,`, "", 1)); err != nil {
		t.Fatal(err)
	}
	if e, found, err := b.Ledger().Get(t.Context(), "wav", "t"); err != nil || !found || e.State != ledger.Expected {
		t.Errorf("%+v, %v, %v", e, found, err)
	}
}

// A process that was not upgraded yet neither misreads nor overwrites what a newer one
// has written.
func TestStoredByANewerFanfareIsLeftAlone(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for name, change := range map[string]func(id callback.TaskID) error{
		"RESULTS": func(id callback.TaskID) error {
			_, err := b.Results().Merge(t.Context(), document(wav(string(id))))
			return err
		},
		"TASKS_STATE": func(id callback.TaskID) error {
			_, err := b.Ledger().Change(t.Context(), "wav", id, func(e ledger.Entry, _ bool) (ledger.Entry, bool) { return e.GiveUp(time.Now()) })
			return err
		},
	} {
		kv, err := js.KeyValue(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for id, value := range map[callback.TaskID]string{
			"newer":  `{"version":2,"outcome":{"of":"another shape"}}`,
			"unsaid": `{"type":"wav","task_id":"unsaid","mood":"good"}`,
		} {
			if _, err := kv.PutString(t.Context(), "wav."+string(id), value); err != nil {
				t.Fatal(err)
			}
			if err := change(id); !errors.Is(err, format.ErrNewer) || errors.Is(err, broker.ErrUnavailable) {
				t.Errorf("%s %s: %v", name, id, err)
			}
			if entry, err := kv.Get(t.Context(), "wav."+string(id)); err != nil || entry.Revision() > 2 || string(entry.Value()) != value {
				t.Errorf("%s %s: %v, %v", name, id, entry, err)
			}
		}
	}
}

func TestKeptByANewerFanfareStays(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	for _, subject := range []string{"dead-letters.wav", "quarantine.wav"} {
		msg := nats.NewMsg(subject)
		msg.Header.Set("Fanfare-Version", "2")
		msg.Header.Set("Fanfare-Subject", "callbacks.wav.error")
		msg.Data = wav("t").Body
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(t.Context(), "dead-letters.wav", wav("t").Body); err != nil { // which is not held up
		t.Fatal(err)
	}
	var others []uint64
	_, shown := b.FromDeadLetters(t.Context(), 1)
	_, again := b.Redeliver(t.Context(), 1)
	listed := b.DeadLetters(t.Context(), "", func(l broker.DeadLetter) error {
		others = append(others, l.Sequence)
		return nil
	})
	_, quarantined := b.FromQuarantine(t.Context(), 1)
	for what, err := range map[string]error{"show": shown, "replay": again, "list": listed, "show in quarantine": quarantined} {
		if !errors.Is(err, format.ErrNewer) || !strings.Contains(err.Error(), "1 in ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if left, sent := messages(t, js, "DEAD_LETTERS"), messages(t, js, "CALLBACKS"); left != 2 || sent != 0 || !slices.Equal(others, []uint64{2}) {
		t.Errorf("%d dead letters are left, %d redelivered, %v listed", left, sent, others)
	}
}
