package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
	"fanfare/pkg/ledger"
)

// Bounds of the reconciler's durables.
const (
	reconcilerAckWait = 30 * time.Second // after which what a dead process had in hand is another's
	maxTasksOpen      = 100_000          // tasks that wait to be looked at again; later ones wait until there is room
)

// Announce says that a task was submitted, so that its final callback is expected.
// known tells that this was said before, in the last 24 hours. An [ErrUnavailable]
// says that it is not stored.
func (b *Broker) Announce(ctx context.Context, t callback.Type, a ledger.Announcement) (known bool, err error) {
	if _, err := callback.ParseType(string(t)); err != nil {
		return false, err
	}
	if err := a.Validate(time.Now()); err != nil {
		return false, err
	}
	body, err := a.Encode()
	if err != nil {
		return false, err
	}
	msg := nats.NewMsg(tasksOf(t))
	msg.Data = body
	ack, _, err := b.publish(ctx, msg, string(t)+"/"+string(a.TaskID), StreamTasks)
	if err != nil {
		return false, err
	}
	return ack.Duplicate, nil
}

// AnnouncedTasks describes the durable of those who look after the announced tasks
// of one provider.
func (b *Broker) AnnouncedTasks(provider string) *Subscription {
	return &Subscription{broker: b, stream: StreamTasks, ackWait: reconcilerAckWait, own: true, config: jetstream.ConsumerConfig{
		Durable:       "reconciler_" + callback.Escape(provider),
		Description:   "Tasks whose final callbacks are expected, for the reconciler of " + provider,
		FilterSubject: tokenTasks + ".>",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       reconcilerAckWait,
		MaxDeliver:    unlimitedDelivery,
		MaxAckPending: maxTasksOpen,
	}}
}

// EveryCallback describes the durable of those who note which tasks have called back.
func (b *Broker) EveryCallback() *Subscription {
	return &Subscription{broker: b, stream: StreamCallbacks, ackWait: reconcilerAckWait, own: true, config: jetstream.ConsumerConfig{
		Durable:       "reconciler",
		Description:   "All callbacks, for the ledger of tasks",
		FilterSubject: AllCallbacks,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       reconcilerAckWait,
		MaxDeliver:    unlimitedDelivery,
		MaxAckPending: maxAckPending,
	}}
}

// Ledger is the bucket that holds the state of every task that is expected to call
// back.
type Ledger struct{ bucket }

// Ledger returns the bucket, which is looked up when it is first used.
func (b *Broker) Ledger() *Ledger { return &Ledger{bucket{broker: b, name: BucketTasksState}} }

// Get returns the entry of a task; found is false when there is none.
func (l *Ledger) Get(ctx context.Context, t callback.Type, id callback.TaskID) (e ledger.Entry, found bool, err error) {
	key := callback.Key(t, id, ".")
	value, revision, err := l.get(ctx, key)
	if err != nil || revision == 0 {
		return e, false, err
	}
	e, err = decodeEntry(key, value)
	return e, err == nil, err
}

// Change replaces the entry of a task by what next makes of it, by compare-and-set,
// and returns the entry that is there now. Next gets found false where there is none,
// and returns false to leave it as it is.
func (l *Ledger) Change(ctx context.Context, t callback.Type, id callback.TaskID, next func(e ledger.Entry, found bool) (ledger.Entry, bool)) (ledger.Entry, error) {
	var now ledger.Entry
	key := callback.Key(t, id, ".")
	_, err := l.change(ctx, key, func(value []byte) ([]byte, error) {
		var before ledger.Entry
		if value != nil {
			var err error
			if before, err = ledger.DecodeAll(value); err != nil {
				return nil, ofTask(key, err)
			}
		}
		after, changed := next(before, value != nil)
		if !changed {
			now = before
			return nil, nil
		}
		now = after
		return after.Encode()
	})
	return now, err
}

func decodeEntry(key string, value []byte) (ledger.Entry, error) {
	e, err := ledger.Decode(value)
	return e, ofTask(key, err)
}

func ofTask(key string, err error) error {
	if err != nil {
		return fmt.Errorf("broker: state of task %s: %w", key, err)
	}
	return nil
}

// Watch calls show for every entry, and then for each that changes, until ctx ends or
// show fails. Once it has shown all that there were, it calls current.
func (l *Ledger) Watch(ctx context.Context, show func(ledger.Entry) error, current func()) error {
	return l.watch(ctx, "*.*", func(key string, value []byte) error { // which leaves turns and repetitions out
		e, err := decodeEntry(key, value)
		if err != nil {
			return err
		}
		return show(e)
	}, current)
}

// turnsPrefix is before the key of turns, which no type is.
const turnsPrefix = "_turns.of."

// maxTurnWait is how far ahead turns are given.
const maxTurnWait = time.Hour

// Turn takes the next of the turns that come one in each interval, for all processes
// that take them by that name together, and returns when it is. It is the zero time
// where all turns of the next hour are taken. A turn that is not used is lost.
func (l *Ledger) Turn(ctx context.Context, name string, every time.Duration) (at time.Time, err error) {
	_, err = l.change(ctx, turnsPrefix+callback.Escape(name), func(value []byte) ([]byte, error) {
		now := time.Now()
		at, err = time.Parse(time.RFC3339Nano, string(value))
		if err != nil || at.Before(now) || at.After(now.Add(2*maxTurnWait)) { // none yet, or a clock that was wrong
			at = now
		}
		if at.After(now.Add(maxTurnWait)) {
			at = time.Time{}
			return nil, nil
		}
		return []byte(timestamp(at.Add(every))), nil
	})
	return at, err
}
