package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/format"
)

// ErrNotKept reports that a stream has no message of that sequence number.
var ErrNotKept = errors.New("broker: no such message")

// checkKept reports a message of DEAD_LETTERS or QUARANTINE that a newer fanfare put
// there.
func checkKept(stream string, sequence uint64, version string) error {
	number, err := strconv.Atoi(cmp.Or(version, "0"))
	if err != nil {
		return fmt.Errorf("broker: %d in %s: version %.20q: want a number", sequence, stream, version)
	}
	if err := format.Check(number, keptVersion); err != nil {
		return fmt.Errorf("broker: %d in %s: %w", sequence, stream, err)
	}
	return nil
}

// keeper looks up a stream.
func (b *Broker) keeper(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("broker: there is no stream %s: run fanfare provision", name)
	}
	if err != nil {
		return nil, fmt.Errorf("broker: look up stream %s: %w", name, err)
	}
	return stream, nil
}

// kept returns the message of that sequence number, or an [ErrNotKept].
func (b *Broker) kept(ctx context.Context, name string, sequence uint64) (*jetstream.RawStreamMsg, error) {
	stream, err := b.keeper(ctx, name)
	if err != nil {
		return nil, err
	}
	msg, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) || sequence == 0 { // of which the server says another thing
		return nil, fmt.Errorf("%w: %d in %s", ErrNotKept, sequence, name)
	}
	if err != nil {
		return nil, fmt.Errorf("broker: read %d of %s: %w", sequence, name, err)
	}
	return msg, nil
}

// drop deletes the message of that sequence number, or returns an [ErrNotKept].
func (b *Broker) drop(ctx context.Context, name string, sequence uint64) error {
	stream, err := b.keeper(ctx, name)
	if err != nil {
		return err
	}
	err = stream.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // the server does not say in one word that it is not there
		if _, missing := b.kept(ctx, name, sequence); errors.Is(missing, ErrNotKept) {
			return missing
		}
	}
	if err != nil {
		return fmt.Errorf("broker: delete %d of %s: %w", sequence, name, err)
	}
	return nil
}
