package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/format"
	"fanfare/pkg/ledger"
	"fanfare/pkg/result"
)

const (
	visitAgain = 10 * time.Second // what a task waits whose visit failed on our side
	lastChance = time.Hour        // past its deadline, for a last poll of a task while none can be made
)

// task is an announced task, as a visit finds it.
type task struct {
	contract *callback.Contract
	entry    ledger.Entry
}

func (t task) String() string { return string(t.entry.Type) + "/" + string(t.entry.TaskID) }

// errNoTask reports an announcement that names no task, and never will.
var errNoTask = errors.New("reconcile: no task is announced")

// visit looks after an announced task: its delivery comes again whenever there is
// something to do, until there never will be. Having it in hand is the lease that
// keeps other processes from asking about the same task.
func (r *Reconciler) visit(ctx context.Context, d *broker.Delivery, done func()) {
	defer done()
	var again time.Duration
	err := deliver.Safely(r.logger, d, func() (err error) {
		again, err = r.lookAfter(ctx, d)
		return err
	})
	var verdict string
	var settled error
	switch {
	case errors.Is(err, errNoTask):
		verdict, settled = verdictTerm, d.Term(err.Error())
	case err != nil:
		verdict, settled = verdictRetry, d.Retry(waits(err, visitAgain))
	case again > 0:
		verdict, settled = verdictRetry, d.Retry(again)
	default:
		verdict, settled = verdictAck, r.tasks.Ack(context.WithoutCancel(ctx), d)
	}
	d.Judged(ctx, verdict, deliver.Trouble(err, settled))
	if err := errors.Join(err, settled); err != nil {
		r.logger.WarnContext(ctx, "announced task not looked after", "type", d.Type, "sequence", d.Sequence, "delivery", d.Number, "error", err)
	}
}

// lookAfter does what there is to do about a task now, and returns after how long to
// do so again, or 0 when nothing more is expected of it.
func (r *Reconciler) lookAfter(ctx context.Context, d *broker.Delivery) (again time.Duration, err error) {
	t, ours, err := r.enter(ctx, d)
	if err != nil || !ours || !t.entry.State.Open() {
		return 0, err
	}
	doc, found, err := r.results.Get(ctx, t.entry.Type, t.entry.TaskID)
	if err != nil {
		return 0, err
	}
	if found && doc.Outcome != result.Progress {
		return 0, r.answered(ctx, t.entry.Type, t.entry.TaskID)
	}
	_, polled := t.contract.Details()
	now := time.Now()
	switch {
	case now.Before(t.entry.NextPoll):
		return t.entry.NextPoll.Sub(now), nil
	case polled:
		again, asked, err := r.poll(ctx, t)
		late := now.Sub(t.entry.Deadline)
		if err != nil || again == 0 || late < 0 || !asked && late < lastChance {
			return again, err
		}
	case now.Before(t.entry.Deadline):
		return t.entry.Deadline.Sub(now), nil // nobody can be asked about tasks of this type
	}
	return 0, r.giveUp(ctx, t)
}

// enter reads the announcement and enters its task in the ledger, if it is not there.
// A task that was submitted to another provider is not ours.
func (r *Reconciler) enter(ctx context.Context, d *broker.Delivery) (t task, ours bool, err error) {
	a, err := ledger.ParseAnnouncement(d.Body, d.Stored)
	if errors.Is(err, format.ErrNewer) {
		return t, false, err // which a newer process can read, once there is one
	}
	if err != nil {
		return t, false, fmt.Errorf("%w: %w", errNoTask, err)
	}
	if t.contract = r.options.Contracts[d.Type]; t.contract == nil {
		return t, false, fmt.Errorf("%w: there is no type %q", errNoTask, d.Type)
	}
	if a.Provider != "" && !strings.EqualFold(a.Provider, r.options.Provider.Host()) {
		return t, false, nil
	}
	t.entry, err = r.ledger.Change(ctx, d.Type, a.TaskID, func(e ledger.Entry, found bool) (ledger.Entry, bool) {
		if found {
			return e, false
		}
		return ledger.New(d.Type, a, time.Now(), r.options.After, r.options.GiveUp), true
	})
	return t, err == nil, err
}

// giveUp records that nothing could be learned of a task.
func (r *Reconciler) giveUp(ctx context.Context, t task) error {
	now := time.Now()
	doc := result.Unreported(t.entry.Type, t.entry.TaskID, t.entry.SubmittedAt, now)
	if _, err := r.results.Merge(ctx, doc); err != nil {
		return err
	}
	given := false
	_, err := r.ledger.Change(ctx, t.entry.Type, t.entry.TaskID, func(e ledger.Entry, _ bool) (ledger.Entry, bool) {
		e, given = e.GiveUp(now) // not if it was answered meanwhile
		return e, given
	})
	if err == nil && given {
		r.metrics.givenUp.WithLabelValues(string(t.entry.Type)).Inc()
		r.logger.WarnContext(ctx, "task given up: neither a callback nor a poll said what became of it",
			"type", t.entry.Type, "task_id", t.entry.TaskID, "submitted_at", t.entry.SubmittedAt, "polls", t.entry.Polls)
	}
	return err
}
