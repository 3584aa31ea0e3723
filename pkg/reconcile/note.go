package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/format"
	"fanfare/pkg/ledger"
)

const (
	noteAgain  = 5 * time.Second // what a callback waits that could not be noted
	newerWaits = 5 * time.Minute // what that waits which takes an upgrade
)

// What becomes of a delivery, as its span says it.
const (
	verdictAck   = "ack"
	verdictRetry = "retry" // for a task also when nothing went wrong, and it is to be looked at again
	verdictTerm  = "term"
)

// waits is how long it takes until another try makes sense after err, as a rule usual.
func waits(err error, usual time.Duration) time.Duration {
	if errors.Is(err, format.ErrNewer) {
		return newerWaits
	}
	return usual
}

// note notes in the ledger what a callback says of its task: a final one answers it;
// one before that enters a task that nobody announced.
func (r *Reconciler) note(ctx context.Context, d *broker.Delivery, done func()) {
	defer done()
	err := deliver.Safely(r.logger, d, func() error { return r.enterOrAnswer(ctx, d) })
	var verdict string
	var settled error
	if err == nil {
		verdict, settled = verdictAck, r.calls.Ack(context.WithoutCancel(ctx), d)
	} else {
		verdict, settled = verdictRetry, d.Retry(waits(err, noteAgain))
	}
	d.Judged(ctx, verdict, deliver.Trouble(err, settled))
	if err := errors.Join(err, settled); err != nil {
		r.logger.WarnContext(ctx, "callback not noted in the ledger", "message_id", d.MessageID, "error", err)
	}
}

func (r *Reconciler) enterOrAnswer(ctx context.Context, d *broker.Delivery) error {
	contract := r.options.Contracts[d.Type]
	if contract == nil || d.Polled {
		return nil // of no type that we know, or our own doing
	}
	cb, err := d.Callback(contract)
	if errors.Is(err, format.ErrNewer) {
		return err
	}
	if err != nil {
		return nil //nolint:nilerr // what is no valid callback is for its consumer to bury
	}
	switch {
	case cb.Stage.Final():
		return r.answered(ctx, cb.Type, cb.TaskID)
	case cb.Stage == callback.Other:
		return nil
	default:
		_, err := r.options.Broker.Announce(ctx, cb.Type, ledger.Announcement{TaskID: cb.TaskID, SubmittedAt: cb.Received})
		return err
	}
}

// answered notes that the final callback of a task is stored. A task that is not
// entered needs no entry for that.
func (r *Reconciler) answered(ctx context.Context, t callback.Type, id callback.TaskID) error {
	_, err := r.ledger.Change(ctx, t, id, func(e ledger.Entry, found bool) (ledger.Entry, bool) {
		if !found {
			return e, false
		}
		return e.Answer(time.Now())
	})
	if err != nil {
		return fmt.Errorf("reconcile: note that %s/%s is answered: %w", t, id, err)
	}
	return nil
}
