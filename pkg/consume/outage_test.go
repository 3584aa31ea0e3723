package consume_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/consumers/wav"
	"fanfare/pkg/consume"
	"fanfare/pkg/eventually"
	"fanfare/pkg/media"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
)

// TestNothingIsUsedUpWhileNothingCanBeStored fails every delivery for want of an
// archive, until there is one.
func TestNothingIsUsedUpWhileNothingCanBeStored(t *testing.T) {
	t.Parallel()
	const tasks, workers = 20, 3
	b := natstest.Broker(t)
	var broken atomic.Bool
	broken.Store(true)
	began, done := newTally(), newTally()
	probe := func(context.Context) error {
		if broken.Load() {
			return media.ErrArchive
		}
		return nil
	}
	registry := prometheus.NewRegistry()
	r, _ := run(t, consume.Options{Registerer: registry, Broker: b, Contract: contract(t, "wav"), Workers: workers, Probe: probe, Handler: func(ctx context.Context, d consume.Delivery) error {
		if err := probe(ctx); err != nil {
			began.add(d.Callback.TaskID)
			return fmt.Errorf("store: %w", err)
		}
		done.add(d.Callback.TaskID)
		return nil
	}})
	for i := range tasks {
		publish(t, b, "wav", failedWAV(i), time.Now())
	}
	eventually.Await(t, "every worker holds a delivery", func() bool { return began.tasks() == workers })
	eventually.Await(t, "not ready", func() bool { return r.Check(t.Context()) != nil })
	eventually.Await(t, "as many in hand as there are workers, and the rest untouched", func() bool { // the server counts a little late
		backlog, err := b.Backlog(t.Context(), "wav")
		return err == nil && backlog.AckPending == workers && backlog.Redelivered == 0 && backlog.Pending == tasks-workers
	})
	eventually.Await(t, "all of them counted as held", func() bool { return held(t, registry) == workers })
	broken.Store(false)
	eventually.Await(t, "everything handled and settled", func() bool { return done.tasks() == tasks && unsettled(t, b, "wav") == 0 })
	done.onceEach(t, tasks)
	began.onceEach(t, workers)
	if n := held(t, registry); n != 0 {
		t.Errorf("%v are still held", n)
	}
	if err := r.Check(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// held is how many deliveries the metrics say are held.
func held(tb testing.TB, registry *prometheus.Registry) float64 {
	tb.Helper()
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "fanfare_deliveries_held" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	tb.Fatal("no metric of what is held")
	return 0
}

// TestOneDeliveryThatCannotBeStoredHoldsUpNothing has a handler that finds fault
// with an archive that can be written.
func TestOneDeliveryThatCannotBeStoredHoldsUpNothing(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	handled := newTally()
	run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Workers: 1, Probe: func(context.Context) error { return nil }, Handler: func(_ context.Context, d consume.Delivery) error {
		if handled.add(d.Callback.TaskID); d.Callback.TaskID == "task-0" {
			return media.ErrArchive
		}
		return nil
	}})
	for i := range 3 {
		publish(t, b, "wav", failedWAV(i), time.Now())
	}
	eventually.Await(t, "the others handled", func() bool { return handled.tasks() == 3 })
}

// TestShutdownDuringAnOutageHandsBack ends while deliveries are held.
func TestShutdownDuringAnOutageHandsBack(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	held := newTally()
	_, stop := run(t, consume.Options{
		Broker: b, Contract: contract(t, "wav"), Drain: time.Millisecond,
		Probe: func(context.Context) error { return media.ErrArchive },
		Handler: func(_ context.Context, d consume.Delivery) error {
			held.add(d.Callback.TaskID)
			return media.ErrArchive
		},
	})
	publish(t, b, "wav", failedWAV(1), time.Now())
	eventually.Await(t, "held", func() bool { return held.tasks() == 1 })
	stop()
	handled := newTally()
	run(t, consume.Options{Broker: b, Contract: contract(t, "wav"), Handler: func(_ context.Context, d consume.Delivery) error {
		handled.add(d.Callback.TaskID)
		return nil
	}})
	eventually.Await(t, "another runner gets the message", func() bool { return handled.tasks() == 1 })
}

// TestArchiveThatComesBackIsUsedAgain takes the archive's directory away and puts
// a file in its place.
func TestArchiveThatComesBackIsUsedAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
	a := archive(t, wav.Spec(), h, 0)
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(a.dir, away); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	publish(t, a.broker, "wav", wavComplete("t1", h.URL+"/a.wav"), time.Now())
	a.result(t, "wav", "t1", func(d result.Document) bool { return d.Archive == result.Pending })
	eventually.Await(t, "not ready", func() bool { return a.runner.Check(t.Context()) != nil })
	if err := errors.Join(os.Remove(a.dir), os.Rename(away, a.dir)); err != nil {
		t.Fatal(err)
	}
	a.intact(t, a.result(t, "wav", "t1", archived))
	eventually.Await(t, "ready", func() bool { return a.runner.Check(t.Context()) == nil })
	if backlog, err := a.broker.Backlog(t.Context(), "wav"); err != nil || backlog.Redelivered != 0 {
		t.Errorf("backlog is %+v, %v: want no redelivery", backlog, err)
	}
}

// TestResultsThatCannotBeWrittenAreWaitedFor deletes the bucket and provisions
// it again.
func TestResultsThatCannotBeWrittenAreWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
	a := archive(t, wav.Spec(), h, 0)
	if err := natstest.JetStream(t, a.server).DeleteStream(t.Context(), "KV_RESULTS"); err != nil {
		t.Fatal(err)
	}
	publish(t, a.broker, "wav", wavComplete("t1", h.URL+"/a.wav"), time.Now())
	eventually.Await(t, "not ready", func() bool { return a.runner.Check(t.Context()) != nil })
	natstest.Provisioned(t, a.server)
	a.intact(t, a.result(t, "wav", "t1", archived))
	eventually.Await(t, "ready", func() bool { return a.runner.Check(t.Context()) == nil })
	if backlog, err := a.broker.Backlog(t.Context(), "wav"); err != nil || backlog.Unsettled() != 0 {
		t.Errorf("backlog is %+v, %v", backlog, err)
	}
}
