package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// redeliveryID begins the message ID of a dead letter's redelivery, which its
// sequence number ends.
const redeliveryID = tokenRedeliver + "/"

// Errors of dead letters that stay, beside [ErrNotKept] and [ErrUnavailable].
var (
	// ErrNotReplayable reports a message that does not say on which subject it
	// first came: no consumer of ours put it into DEAD_LETTERS.
	ErrNotReplayable = errors.New("broker: not a dead letter of fanfare's: it can be shown and deleted only")

	// ErrTaken reports that the message ID stands for another message, or for one
	// that is gone, as when a stream was deleted and created anew.
	ErrTaken = errors.New("broker: the message ID was taken less than 24 hours ago: try again when they are over")
)

// Redeliver publishes the original of the dead letter of that sequence number for
// another go, waits for the publish ack, and only then deletes the dead letter,
// which it returns as far as it could be read. Whatever goes wrong, the dead
// letter or its redelivery is stored.
//
// Doing it again, also after an end between the two steps, has one effect: for 24
// hours the stream knows the redelivery by its message ID, and later a second one
// finds the task's result complete and its media in the archive.
func (b *Broker) Redeliver(ctx context.Context, sequence uint64) (DeadLetter, error) {
	msg, err := b.kept(ctx, StreamDeadLetters, sequence)
	if err != nil {
		return DeadLetter{}, err
	}
	letter, err := newDeadLetter(msg)
	if err != nil {
		return letter, err
	}
	again, err := redelivery(letter)
	if err != nil {
		return letter, err
	}
	again.Header, again.Data = ownHeader(msg.Header), msg.Data
	ack, _, err := b.publish(ctx, again, redeliveryID+strconv.FormatUint(sequence, 10), StreamCallbacks)
	if err != nil {
		return letter, err
	}
	if ack.Duplicate {
		err := b.isCopy(ctx, StreamCallbacks, ack.Sequence, again)
		if errors.Is(err, ErrNotKept) {
			err = fmt.Errorf("%w: its message, %d in %s, is gone", ErrTaken, ack.Sequence, StreamCallbacks)
		}
		if err != nil {
			return letter, err
		}
	}
	if err := b.DropFromDeadLetters(ctx, sequence); err != nil && !errors.Is(err, ErrNotKept) { // another replay was faster
		return letter, err
	}
	return letter, nil
}

// redelivery is an empty message on the subject of the letter's redelivery.
func redelivery(letter DeadLetter) (*nats.Msg, error) {
	stage, ok := strings.CutPrefix(letter.Subject, tokenCallbacks+"."+string(letter.Type)+".")
	if !ok || stage == "" || strings.ContainsAny(stage, "*> ") {
		return nil, fmt.Errorf("%w: %d in %s says it was on subject %q", ErrNotReplayable, letter.Sequence, StreamDeadLetters, letter.Subject)
	}
	return nats.NewMsg(tokenRedeliver + "." + string(letter.Type) + "." + stage), nil
}

// isCopy returns nil if what the stream had already under the message ID of msg is
// the same message, [ErrTaken] if it is another, and [ErrNotKept] if it is gone.
func (b *Broker) isCopy(ctx context.Context, stream string, sequence uint64, msg *nats.Msg) error {
	stored, err := b.kept(ctx, stream, sequence)
	if err != nil {
		return err
	}
	if stored.Header.Get(headerID) != msg.Header.Get(headerID) || !bytes.Equal(stored.Data, msg.Data) {
		return fmt.Errorf("%w: %d in %s is another message", ErrTaken, sequence, stream)
	}
	return nil
}
