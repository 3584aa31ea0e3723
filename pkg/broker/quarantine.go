package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

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
	msg.Header[headerVersion] = []string{strconv.Itoa(keptVersion)}
	msg.Header[headerReason] = []string{q.Reason}
	msg.Header[headerReceived] = []string{timestamp(q.Received)}
	_, _, err := b.publish(ctx, msg, q.messageID(), StreamQuarantine)
	return err
}

// FromQuarantine returns the quarantined request of that sequence number.
func (b *Broker) FromQuarantine(ctx context.Context, sequence uint64) (Quarantined, error) {
	msg, err := b.kept(ctx, StreamQuarantine, sequence)
	if err != nil {
		return Quarantined{}, err
	}
	return NewQuarantined(newMessage(msg.Subject, msg.Sequence, msg.Time, msg.Header, msg.Data))
}

// NewQuarantined reads a message of QUARANTINE. The error wraps [format.ErrNewer] for
// one of a newer fanfare.
func NewQuarantined(m Message) (Quarantined, error) {
	if err := checkKept(StreamQuarantine, m.Sequence, m.Header[headerVersion]); err != nil {
		return Quarantined{}, err
	}
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
	}, nil
}

// DropFromQuarantine deletes the quarantined request of that sequence number; if
// there is none, it returns an [ErrNotKept].
func (b *Broker) DropFromQuarantine(ctx context.Context, sequence uint64) error {
	return b.drop(ctx, StreamQuarantine, sequence)
}
