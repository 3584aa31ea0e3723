package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
)

// ErrNoDurable reports that the durable does not exist (yet, or any more).
var ErrNoDurable = errors.New("broker: no such durable")

// Durable hands out the deliveries of one type.
type Durable struct {
	broker   *Broker
	typ      callback.Type
	consumer jetstream.Consumer
}

// Durable looks up the durable of a type. It does not create it: that is
// [Broker.Provision]'s.
func (b *Broker) Durable(ctx context.Context, t callback.Type) (*Durable, error) {
	consumer, err := b.js.Consumer(ctx, StreamCallbacks, string(t))
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: %s on stream %s: run fanfare provision", ErrNoDurable, t, StreamCallbacks)
	}
	if err != nil {
		return nil, fmt.Errorf("broker: look up durable %s: %w", t, err)
	}
	return &Durable{broker: b, typ: t, consumer: consumer}, nil
}

// Next waits at most wait for one message and returns it, or nil when none came.
// It asks the server for a single one, so that what this process cannot take
// now, another may. It cannot be cut short: a message that is handed over while
// nobody listens any more would lie idle for the durable's ack wait.
func (d *Durable) Next(wait time.Duration) (*Delivery, error) {
	if !d.broker.Connected() {
		return nil, fmt.Errorf("%w: not connected", ErrUnavailable) // the client would leave a subscription behind
	}
	batch, err := d.consumer.Fetch(1, jetstream.FetchMaxWait(wait))
	if err != nil {
		return nil, d.fetchError(err)
	}
	if msg, ok := <-batch.Messages(); ok {
		return d.broker.delivery(msg)
	}
	if err := batch.Error(); err != nil {
		return nil, d.fetchError(err)
	}
	return nil, nil
}

func (d *Durable) fetchError(err error) error {
	if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("%w: %s on stream %s: run fanfare provision", ErrNoDurable, d.typ, StreamCallbacks)
	}
	return fmt.Errorf("broker: fetch from durable %s: %w", d.typ, err)
}

// Backlog is how much a durable still has to do.
type Backlog struct {
	Pending     uint64        // messages not delivered yet
	AckPending  int           // messages delivered and not settled
	Redelivered int           // of those, delivered more than once
	Oldest      time.Duration // age of the oldest message that is not settled; 0 when there is none
	settled     uint64        // stream sequence up to which everything is settled
}

// Unsettled is the number of messages that are not settled.
func (b Backlog) Unsettled() uint64 { return b.Pending + uint64(max(b.AckPending, 0)) }

// Backlog asks the server for a type's backlog.
func (b *Broker) Backlog(ctx context.Context, t callback.Type) (Backlog, error) {
	consumer, err := b.js.Consumer(ctx, StreamCallbacks, string(t))
	if err != nil {
		return Backlog{}, fmt.Errorf("broker: look up durable %s: %w", t, err)
	}
	info := consumer.CachedInfo()
	backlog := Backlog{
		Pending:     info.NumPending,
		AckPending:  info.NumAckPending,
		Redelivered: info.NumRedelivered,
		settled:     info.AckFloor.Stream,
	}
	if backlog.Unsettled() == 0 {
		return backlog, nil
	}
	stream, err := b.js.Stream(ctx, StreamCallbacks)
	if err != nil {
		return Backlog{}, fmt.Errorf("broker: look up stream %s: %w", StreamCallbacks, err)
	}
	for _, subject := range []string{callbacksOf(t), redeliverOf(t)} {
		oldest, err := stream.GetMsg(ctx, backlog.settled+1, jetstream.WithGetMsgSubject(subject))
		switch {
		case err == nil:
			backlog.Oldest = max(backlog.Oldest, time.Since(oldest.Time))
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return Backlog{}, fmt.Errorf("broker: look up the oldest message of durable %s: %w", t, err)
		}
	}
	return backlog, nil
}
