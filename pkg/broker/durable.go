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

// clientPatience is how much longer than the server the client waits for an
// answer to a fetch, before it ends it without one.
const clientPatience = time.Second

// ErrSilent reports that the server did not even say that no message came.
var ErrSilent = errors.New("broker: the server does not answer")

// Durable hands out the deliveries of one durable. [Subscription.Open] opens it.
type Durable struct {
	broker   *Broker
	consumer jetstream.Consumer
}

// Next waits at most wait for one message and returns it, or nil when none came.
// It asks the server for a single one, so that what this process cannot take
// now, another may. It cannot be cut short: a message that is handed over while
// nobody listens any more would lie idle for the durable's ack wait.
func (d *Durable) Next(wait time.Duration) (*Delivery, error) {
	if !d.broker.Connected() {
		return nil, fmt.Errorf("%w: not connected", ErrUnavailable) // the client would leave a subscription behind
	}
	start := time.Now()
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
	if time.Since(start) >= wait+clientPatience {
		return nil, fmt.Errorf("%w: fetch from %s", ErrSilent, d)
	}
	return nil, nil
}

// Reconnect breaks the connection to the server and opens another, if need be to
// another server.
func (d *Durable) Reconnect() error {
	if err := d.broker.conn.ForceReconnect(); err != nil {
		return fmt.Errorf("broker: reconnect: %w", err)
	}
	return nil
}

func (d *Durable) fetchError(err error) error {
	if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("%w: %s", ErrNoDurable, d)
	}
	return fmt.Errorf("broker: fetch from %s: %w", d, err)
}

// String names the durable and its stream.
func (d *Durable) String() string {
	info := d.consumer.CachedInfo()
	return "durable " + info.Name + " on stream " + info.Stream
}

// Backlog is how much a durable still has to do.
type Backlog struct {
	Pending     uint64        // messages not delivered yet
	AckPending  int           // messages delivered and not settled
	Redelivered int           // of those, delivered more than once
	Oldest      time.Duration // age of the oldest message that is not delivered yet; 0 when there is none
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
	if backlog.Pending == 0 {
		return backlog, nil
	}
	stream, err := b.js.Stream(ctx, StreamCallbacks)
	if err != nil {
		return Backlog{}, fmt.Errorf("broker: look up stream %s: %w", StreamCallbacks, err)
	}
	for _, subject := range []string{callbacksOf(t), redeliverOf(t)} {
		oldest, err := stream.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(subject))
		switch {
		case err == nil:
			backlog.Oldest = max(backlog.Oldest, time.Since(oldest.Time))
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return Backlog{}, fmt.Errorf("broker: look up the oldest message of durable %s: %w", t, err)
		}
	}
	return backlog, nil
}
