package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
)

// ReasonConflict is why a valid callback is in quarantine: it contradicts the
// stored one of the same message ID. Other reasons are [callback.Reason]s.
const ReasonConflict = "conflict"

// Quarantined is a request that is authentic and cannot be used.
type Quarantined struct {
	Type     callback.Type
	Reason   string
	Received time.Time
	Header   map[string]string // of the request, those that matter
	Body     []byte            // byte for byte
}

// messageID makes the provider's retries of one request one message.
func (q Quarantined) messageID() string {
	sum := sha256.Sum256(q.Body)
	return string(q.Type) + "/" + q.Reason + "/" + hex.EncodeToString(sum[:])
}

// Quarantine stores a request on QUARANTINE and waits for the publish ack, as
// Publish does.
func (b *Broker) Quarantine(ctx context.Context, q Quarantined) error {
	msg := nats.NewMsg(quarantineOf(q.Type))
	msg.Data = q.Body
	for name, value := range q.Header {
		msg.Header[name] = []string{headerText(value)}
	}
	msg.Header[headerReason] = []string{q.Reason}
	msg.Header[headerReceived] = []string{timestamp(q.Received)}
	_, _, err := b.publish(ctx, msg, q.messageID(), StreamQuarantine)
	return err
}

// ErrNotKept reports that a stream has no message of that sequence number.
var ErrNotKept = errors.New("broker: no such message")

// FromQuarantine returns the quarantined request of that sequence number.
func (b *Broker) FromQuarantine(ctx context.Context, sequence uint64) (Quarantined, error) {
	stream, err := b.js.Stream(ctx, StreamQuarantine)
	if err != nil {
		return Quarantined{}, fmt.Errorf("broker: look up stream %s: %w", StreamQuarantine, err)
	}
	msg, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Quarantined{}, fmt.Errorf("%w: %d in %s", ErrNotKept, sequence, StreamQuarantine)
	}
	if err != nil {
		return Quarantined{}, fmt.Errorf("broker: read %d of %s: %w", sequence, StreamQuarantine, err)
	}
	header := make(map[string]string, len(msg.Header))
	for name := range msg.Header {
		header[name] = msg.Header.Get(name)
	}
	return NewQuarantined(Message{Subject: msg.Subject, Sequence: sequence, Stored: msg.Time, Header: header, Body: msg.Data}), nil
}

// NewQuarantined reads a message of QUARANTINE.
func NewQuarantined(m Message) Quarantined {
	received, err := time.Parse(time.RFC3339Nano, m.Header[headerReceived])
	if err != nil {
		received = m.Stored
	}
	return Quarantined{
		Type:     callback.Type(strings.TrimPrefix(m.Subject, tokenQuarantine+".")),
		Reason:   m.Header[headerReason],
		Received: received,
		Header:   m.Header,
		Body:     m.Body,
	}
}

// DropFromQuarantine deletes the quarantined request of that sequence number.
func (b *Broker) DropFromQuarantine(ctx context.Context, sequence uint64) error {
	stream, err := b.js.Stream(ctx, StreamQuarantine)
	if err != nil {
		return fmt.Errorf("broker: look up stream %s: %w", StreamQuarantine, err)
	}
	if err := stream.DeleteMsg(ctx, sequence); err != nil {
		return fmt.Errorf("broker: delete %d of %s: %w", sequence, StreamQuarantine, err)
	}
	return nil
}
