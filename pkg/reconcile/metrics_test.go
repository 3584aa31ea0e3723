package reconcile_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/reconcile"
)

// values returns the values of one metric by their only label, or by "" without one;
// nil without the metric.
func values(tb testing.TB, registry *prometheus.Registry, name string) map[string]float64 {
	tb.Helper()
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		found := make(map[string]float64)
		for _, m := range family.GetMetric() {
			label := ""
			for _, pair := range m.GetLabel() {
				label = pair.GetValue()
			}
			found[label] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		return found
	}
	return nil
}

func TestTasksGivenUpAreCounted(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	registry, _ := start(t, b, newDetails(t))
	given := func() map[string]float64 { return values(t, registry, "fanfare_tasks_given_up_total") }
	if all := given(); len(all) != len(contracts(t)) || all["wav"] != 0 {
		t.Errorf("%v at the start", all)
	}
	announce(t, b, ledger.Announcement{TaskID: "t", Deadline: time.Now().Add(moment)})
	announce(t, b, ledger.Announcement{TaskID: "open"})
	becomes(t, b, "t", ledger.GivenUp)
	eventually.Await(t, "counted", func() bool { return given()["wav"] == 1 })
	push(t, b, "wav", pushed("t")) // after all
	becomes(t, b, "t", ledger.Resolved)
	if all := given(); all["wav"] != 1 || all["music"] != 0 {
		t.Errorf("%v in the end", all)
	}
}

// A count that has not been made is no count of zero.
func TestWhatIsNotCountedIsNotReported(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	if err := natstest.JetStream(t, server).DeleteStream(t.Context(), "KV_TASKS_STATE"); err != nil {
		t.Fatal(err)
	}
	registry, _ := start(t, b, newDetails(t), func(o *reconcile.Options) { o.After = never })
	<-time.After(moment)
	for _, name := range []string{"fanfare_tasks", "fanfare_task_age_oldest_seconds"} {
		if all := values(t, registry, name); all != nil {
			t.Errorf("%s: %v", name, all)
		}
	}
	natstest.Provisioned(t, server)
	eventually.Await(t, "counted", func() bool { return values(t, registry, "fanfare_task_age_oldest_seconds") != nil })
}

func TestWhatTheReconcilerHasNotGotIsReported(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	b := natstest.Provisioned(t, server)
	registry, stop := start(t, b, newDetails(t))
	pending := func() map[string]float64 { return values(t, registry, "fanfare_reconciler_pending") }
	eventually.Await(t, "both durables are there", func() bool { return len(pending()) == 2 })
	stop()
	announce(t, b, ledger.Announcement{TaskID: "a"})
	announce(t, b, ledger.Announcement{TaskID: "b"})
	push(t, b, "wav", pushed("a"))
	eventually.Await(t, "what waits is counted", func() bool { // the server's counts lag behind a publish
		all := pending()
		return len(all) == 2 && all["TASKS"] == 2 && all["CALLBACKS"] == 1
	})
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	if err := natstest.JetStream(t, server).DeleteStream(t.Context(), "TASKS"); err != nil {
		t.Fatal(err)
	}
	if all := pending(); len(all) != 1 || all["CALLBACKS"] != 1 {
		t.Errorf("without TASKS: %v", all)
	}
	b.Close()
	if all := pending(); all != nil {
		t.Errorf("without a server: %v", all)
	}
}
