package cli

import (
	"testing"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

// TestReplayLeavesWhatWasDeleted deletes a request between a replay's reading it and its turn.
func TestReplayLeavesWhatWasDeleted(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	b := natstest.Provisioned(t, natstest.Start(t, t.TempDir(), ""))
	q := broker.Quarantined{Type: "wav", Reason: "schema", Received: time.Now(), Body: []byte(`{"code":500,"msg":"","data":{"task_id":"t1"}}`)}
	if err := b.Quarantine(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if err := b.DropFromQuarantine(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if what, err := replay(t.Context(), b, contracts, 1, q); what != "was deleted since it was read" || err != nil {
		t.Errorf("it %q, %v", what, err)
	}
	if err := b.Read(t.Context(), "callbacks.>", func(m broker.Message) error {
		t.Errorf("published on %s", m.Subject)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
