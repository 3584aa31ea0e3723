package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// Bounds of what is asked for, and held, at once, and of the time that it takes.
const (
	batchMessages = 1000
	batchBytes    = 4 << 20
	batchWait     = 10 * time.Second
)

var errLost = errors.New("the answer was lost on the way")

// Read calls show for each message that there is on the subject filter now,
// oldest first. It reads many at a time: others may delete one before it is shown.
func (b *Broker) Read(ctx context.Context, filter string, show func(Message) error) error {
	stream, subject, err := streamOf(filter)
	if err != nil {
		return err
	}
	return b.walk(ctx, stream, subject, func(msg *jetstream.RawStreamMsg) error {
		return show(newMessage(msg.Subject, msg.Sequence, msg.Time, msg.Header, msg.Data))
	})
}

// walk calls show for each message that a stream has on a subject now.
func (b *Broker) walk(ctx context.Context, name, subject string, show func(*jetstream.RawStreamMsg) error) error {
	stream, err := b.keeper(ctx, name)
	if err != nil {
		return err
	}
	if !stream.CachedInfo().Config.AllowDirect {
		return fmt.Errorf("broker: read %s: stream %s needs allow_direct: fanfare provision reports what else differs", subject, name)
	}
	last := stream.CachedInfo().State.LastSeq // what comes later is not waited for
	for next := uint64(1); next <= last; {
		batch, err := b.batch(ctx, name, subject, next)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, msg := range batch {
			if msg.Sequence > last {
				return nil
			}
			if err := show(msg); err != nil {
				return err
			}
			next = msg.Sequence + 1
		}
	}
	return nil
}

// batch returns messages that a stream has on a subject, from a sequence number on;
// none if there are no more. It ends before a gap: what was lost on the way, as when
// the connection moves to another server, is asked for again.
func (b *Broker) batch(ctx context.Context, stream, subject string, from uint64) ([]*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, batchWait)
	defer cancel()
	found := make([]*jetstream.RawStreamMsg, 0, batchMessages)
	messages, err := jetstreamext.GetBatch(ctx, b.js, stream, batchMessages,
		jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchMaxBytes(batchBytes))
	if err != nil {
		return nil, fmt.Errorf("broker: read %s from %d on: %w", subject, from, err)
	}
	before := uint64(0)
	for msg, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("broker: read %s from %d on: %w", subject, from, err)
		}
		if !follows(msg, before) || msg.Sequence < from {
			break
		}
		before = msg.Sequence
		maps.DeleteFunc(msg.Header, func(name string, _ []string) bool { return ofAnswers(name) })
		found = append(found, msg)
	}
	if len(found) == 0 { // of a time that is over, the messages' end says nothing
		return nil, fmt.Errorf("broker: read %s from %d on: %w", subject, from, cmp.Or(ctx.Err(), errLost))
	}
	return found, nil
}

// follows reports whether a message is the one after another in a batch, or its first
// if that is 0. What the server says of it comes after what its publisher said.
func follows(msg *jetstream.RawStreamMsg, before uint64) bool {
	said := msg.Header.Values(jetstream.LastSequenceHeader)
	return len(said) > 0 && said[len(said)-1] == strconv.FormatUint(before, 10) && msg.Sequence > before
}

// ofAnswers reports whether a header is no part of a message but of the answer to who
// reads it.
func ofAnswers(name string) bool {
	switch name {
	case jetstream.StreamHeader, jetstream.SequenceHeader, jetstream.SubjectHeader, jetstream.TimeStampHeaer, jetstream.LastSequenceHeader, "Nats-Num-Pending":
		return true
	default:
		return false
	}
}
