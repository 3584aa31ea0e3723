package broker

import (
	"bytes"
	"context"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
)

// Published is what publishing a callback came to.
type Published int

// What publishing can come to, once it is confirmed.
const (
	Stored    Published = iota // it is a new message
	Duplicate                  // the stream had it already
	Conflict                   // the stream has another one of this message ID; nothing was stored
)

const (
	lookups     = 3                     // for the stored message, which a replica may not have yet
	lookupPause = 50 * time.Millisecond // between them
)

// compare tells a duplicate from a conflict, and, if there was an earlier sending,
// both from what we stored ourselves. A stored message that cannot be read, or
// that came from elsewhere, contradicts nothing.
func (b *Broker) compare(ctx context.Context, cb callback.Callback, sequence uint64, again bool) Published {
	stored, ok := b.lookup(ctx, sequence)
	if !ok || stored.Header.Get(headerSource) != source(cb) || stored.Header.Get(headerID) != cb.MessageID() {
		return Duplicate
	}
	switch {
	case !sameValue(stored.Data, cb.Body):
		return Conflict
	case again && stored.Header.Get(headerTime) == timestamp(cb.Received):
		return Stored
	default:
		return Duplicate
	}
}

func (b *Broker) lookup(ctx context.Context, sequence uint64) (*jetstream.RawStreamMsg, bool) {
	for range lookups {
		stream, err := b.js.Stream(ctx, StreamCallbacks)
		if err == nil {
			msg, err := stream.GetMsg(ctx, sequence)
			if err == nil {
				return msg, true
			}
		}
		if pause(ctx, lookupPause) != nil {
			return nil, false
		}
	}
	return nil, false
}

// sameValue reports whether two valid bodies are the same JSON value, whatever
// their white space and the order of their members.
func sameValue(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, y := jsontext.Value(bytes.Clone(a)), jsontext.Value(bytes.Clone(b))
	return x.Canonicalize() == nil && y.Canonicalize() == nil && bytes.Equal(x, y)
}
