package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
	"fanfare/pkg/format"
)

// Delivery is one handing-over of a message to a consumer. Exactly one of Ack,
// Retry and DeadLetter settles it.
type Delivery struct {
	Type      callback.Type // of the callback or of the task, by the subject
	Body      []byte        // the request body, byte for byte
	MessageID string        // the callback's identity; a result's is its key, <type>.<escaped task ID>
	Received  time.Time     // when the gateway received the callback
	Polled    bool          // the provider was asked for the callback; false: it called
	Stored    time.Time     // when the stream got the message: for a dead letter on another go, that go
	Sequence  uint64        // of the message in its stream
	Number    uint64        // of this delivery of the message, from 1

	broker *Broker
	msg    jetstream.Msg
	meta   *jetstream.MsgMetadata
}

func (b *Broker) delivery(msg jetstream.Msg) (*Delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("broker: delivery on %s: %w", msg.Subject(), err)
	}
	id := msg.Headers().Get(headerID)
	_, rest, _ := strings.Cut(msg.Subject(), ".")
	if key, ok := strings.CutPrefix(msg.Subject(), resultsPrefix+"."); ok {
		id, rest = key, key
	}
	typ, _, _ := strings.Cut(rest, ".")
	return &Delivery{
		Type:      callback.Type(typ),
		Polled:    strings.HasPrefix(msg.Headers().Get(headerSource), sourcePolls),
		Body:      msg.Data(),
		MessageID: id,
		Received:  received(msg.Headers(), meta.Timestamp),
		Stored:    meta.Timestamp.UTC(),
		Sequence:  meta.Sequence.Stream,
		Number:    meta.NumDelivered,
		broker:    b,
		msg:       msg,
		meta:      meta,
	}, nil
}

// Callback decodes the callback that was delivered. The error is the contract's, or
// wraps [format.ErrNewer] for a message of a newer fanfare.
func (d *Delivery) Callback(contract *callback.Contract) (callback.Callback, error) {
	if isNewer(d.msg.Headers(), contract.Type) {
		return callback.Callback{}, fmt.Errorf("broker: callback %s: %w", d.MessageID, format.ErrNewer)
	}
	cb, err := contract.Decode(d.Body)
	cb.Received, cb.Polled = d.Received, d.Polled
	return cb, err
}

// received reads when the gateway received the callback; stored is the next best
// answer.
func received(h nats.Header, stored time.Time) time.Time {
	at, err := time.Parse(time.RFC3339Nano, h.Get(headerTime))
	if err != nil {
		return stored.UTC()
	}
	return at.UTC()
}

// Ack settles the message as done and waits until the server says so.
func (d *Delivery) Ack(ctx context.Context) error {
	if err := d.msg.DoubleAck(ctx); err != nil {
		return fmt.Errorf("broker: ack %s: %w", d.MessageID, err)
	}
	return nil
}

// Forgotten reports whether the server knows nothing of this delivery, and so will
// never confirm that it is settled: it lost what it had not written when it crashed,
// or the durable is gone. The message comes again.
func (d *Delivery) Forgotten(ctx context.Context) (bool, error) {
	consumer, err := d.broker.js.Consumer(ctx, d.meta.Stream, d.meta.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("broker: look up durable %s on stream %s: %w", d.meta.Consumer, d.meta.Stream, err)
	}
	return consumer.CachedInfo().Delivered.Stream < d.Sequence, nil
}

// Retry asks the server to deliver the message again after delay.
func (d *Delivery) Retry(delay time.Duration) error {
	if err := d.msg.NakWithDelay(delay); err != nil {
		return fmt.Errorf("broker: nak %s: %w", d.MessageID, err)
	}
	return nil
}

// Term ends the deliveries of a message that is not done. It stays on its stream.
func (d *Delivery) Term(reason string) error {
	if err := d.msg.TermWithReason(headerText(reason)); err != nil {
		return fmt.Errorf("broker: term %s: %w", d.MessageID, err)
	}
	return nil
}

// InProgress tells the server that the delivery is still being worked on, unless it
// is settled by now.
func (d *Delivery) InProgress() error {
	if err := d.msg.InProgress(); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return fmt.Errorf("broker: in progress %s: %w", d.MessageID, err)
	}
	return nil
}
