package reconcile_test

import (
	"log/slog"
	"strings"
	"testing"

	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/reconcile"
)

// What only a newer reconciler can read stays for it.
func TestAnnouncementOfANewerFormatIsNotEnded(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	var log lines
	if _, err := js.Publish(t.Context(), "tasks.wav", []byte(`{"version":2,"tasks":["t"]}`)); err != nil {
		t.Fatal(err)
	}
	start(t, b, newDetails(t), func(o *reconcile.Options) { o.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	eventually.Await(t, "it is refused", func() bool { return strings.Contains(log.String(), "newer than this fanfare knows") })
	announce(t, b, ledger.Announcement{TaskID: "other"}) // which is not held up
	becomes(t, b, "other", ledger.Overdue)
	stream, err := js.Stream(t.Context(), "TASKS")
	if err != nil {
		t.Fatal(err)
	}
	for info := range stream.ListConsumers(t.Context()).Info() {
		if info.AckFloor.Stream != 0 {
			t.Errorf("%s is done with %d", info.Name, info.AckFloor.Stream)
		}
	}
}
