package broker

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
	"fanfare/pkg/format"
)

// DeadLetter is a valid message that a consumer could not process. Its texts are
// single lines of printable ASCII, whoever wrote them.
type DeadLetter struct {
	Sequence     uint64 // in DEAD_LETTERS: the number by which operators know it
	Type         callback.Type
	Subject      string // on which the callback first came: callbacks.<type>.<stage>
	MessageID    string // the callback's identity
	TaskID       callback.TaskID
	Stage        callback.Stage
	Reason       string
	Deliveries   uint64
	FirstError   string // "" if it is not known
	LastError    string
	Received     time.Time         // when the gateway received the callback
	FirstFailed  time.Time         // zero if it is not known
	Died         time.Time         // when the consumer gave it up
	RedeliveryOf uint64            // the dead letter of which it was another go, or 0
	Header       map[string]string // the first value of each, without JetStream's own
	Body         []byte            // the request body, byte for byte
}

// newDeadLetter reads a message of DEAD_LETTERS. The error wraps [format.ErrNewer] for
// one of a newer fanfare, which must not be taken for something that it is not.
func newDeadLetter(msg *jetstream.RawStreamMsg) (DeadLetter, error) {
	if err := checkKept(StreamDeadLetters, msg.Sequence, msg.Header.Get(headerVersion)); err != nil {
		return DeadLetter{}, err
	}
	header := make(map[string]string, len(msg.Header))
	for name := range msg.Header {
		if !strings.HasPrefix(name, "Nats-") {
			header[name] = msg.Header.Get(name)
		}
	}
	text := func(name string) string { return headerText(header[name]) }
	number := func(name string) uint64 {
		n, _ := strconv.ParseUint(header[name], 10, 64) // 0 says that it is not known
		return n
	}
	at := func(name string, unknown time.Time) time.Time {
		if t, err := time.Parse(time.RFC3339Nano, header[name]); err == nil {
			return t.UTC()
		}
		return unknown
	}
	return DeadLetter{
		Sequence:     msg.Sequence,
		Type:         callback.Type(headerText(strings.TrimPrefix(msg.Subject, tokenDeadLetters+"."))),
		Subject:      text(headerOrigin),
		MessageID:    text(headerID),
		TaskID:       callback.TaskID(text(headerSubject)),
		Stage:        callback.Stage(text(headerStage)),
		Reason:       text(headerReason),
		Deliveries:   number(headerDeliveries),
		FirstError:   text(headerFirstError),
		LastError:    text(headerLastError),
		Received:     at(headerReceived, msg.Time.UTC()),
		FirstFailed:  at(headerFirstFailed, time.Time{}),
		Died:         at(headerDied, msg.Time.UTC()),
		RedeliveryOf: number(headerRedeliveryOf),
		Header:       header,
		Body:         msg.Data,
	}, nil
}

// DeadLetters calls show for each dead letter of a type, or of every type if t is
// empty, that is there now, oldest first. It reads many at a time: show may take its
// time, and others may replay or delete one before it is shown. Those of a newer
// format are passed over; then the error is the first one's.
func (b *Broker) DeadLetters(ctx context.Context, t callback.Type, show func(DeadLetter) error) error {
	filter := tokenDeadLetters + ".>"
	if t != "" {
		filter = deadLetterOf(t)
	}
	var newer error
	err := b.walk(ctx, StreamDeadLetters, filter, func(msg *jetstream.RawStreamMsg) error {
		letter, err := newDeadLetter(msg)
		if errors.Is(err, format.ErrNewer) {
			newer = cmp.Or(newer, err)
			return nil
		}
		if err != nil {
			return err
		}
		return show(letter)
	})
	return cmp.Or(err, newer)
}

// FromDeadLetters returns the dead letter of that sequence number, or an
// [ErrNotKept].
func (b *Broker) FromDeadLetters(ctx context.Context, sequence uint64) (DeadLetter, error) {
	msg, err := b.kept(ctx, StreamDeadLetters, sequence)
	if err != nil {
		return DeadLetter{}, err
	}
	return newDeadLetter(msg)
}

// DropFromDeadLetters deletes the dead letter of that sequence number; if there is
// none, it returns an [ErrNotKept].
func (b *Broker) DropFromDeadLetters(ctx context.Context, sequence uint64) error {
	return b.drop(ctx, StreamDeadLetters, sequence)
}
