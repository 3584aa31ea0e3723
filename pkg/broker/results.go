package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// Results is the bucket that holds one result per task.
type Results struct{ bucket }

// Results returns the bucket, which is looked up when it is first used.
func (b *Broker) Results() *Results { return &Results{bucket{broker: b, name: BucketResults}} }

// Get returns the result of a task; found is false when there is none.
func (r *Results) Get(ctx context.Context, t callback.Type, id callback.TaskID) (doc result.Document, found bool, err error) {
	doc, revision, err := r.read(ctx, t, id, result.Decode)
	return doc, revision != 0, err
}

// GetAll is Get for a document that is to be written somewhere: the error wraps
// [format.ErrNewer] if something of it would be lost. The revision, which is 0 where
// there is no result, tells which of two states is the later one: a replica of the
// bucket may know only of the earlier.
func (r *Results) GetAll(ctx context.Context, t callback.Type, id callback.TaskID) (doc result.Document, revision uint64, err error) {
	return r.read(ctx, t, id, result.DecodeAll)
}

func (r *Results) read(ctx context.Context, t callback.Type, id callback.TaskID, decode func([]byte) (result.Document, error)) (doc result.Document, revision uint64, err error) {
	key := callback.Key(t, id, ".")
	value, revision, err := r.get(ctx, key)
	if err != nil || revision == 0 {
		return doc, 0, err
	}
	if doc, err = decode(value); err != nil {
		return result.Document{}, 0, ofResult(key, err)
	}
	return doc, revision, nil
}

func decodeResult(key string, value []byte) (result.Document, error) {
	doc, err := result.Decode(value)
	return doc, ofResult(key, err)
}

func ofResult(key string, err error) error {
	if err != nil {
		return fmt.Errorf("broker: result %s: %w", key, err)
	}
	return nil
}

// Stated is a state that a result was in.
type Stated struct {
	Document result.Document
	Stored   time.Time
}

// History returns the states that the result of a task was in, oldest first: the last
// 8 of them.
func (r *Results) History(ctx context.Context, t callback.Type, id callback.TaskID) ([]Stated, error) {
	kv, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	key := callback.Key(t, id, ".")
	entries, err := kv.History(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: read history of result %s: %w", ErrUnavailable, key, err)
	}
	var states []Stated
	for _, entry := range entries {
		if entry.Operation() != jetstream.KeyValuePut {
			continue
		}
		doc, err := decodeResult(key, entry.Value())
		if err != nil {
			return nil, err
		}
		states = append(states, Stated{doc, entry.Created().UTC()})
	}
	return states, nil
}

// Merged is what a merge did.
type Merged struct {
	Before   result.Document // the result before; the zero Document if there was none
	After    result.Document // the result now
	Changed  bool            // whether they differ
	Revision uint64          // of After
}

// Merge merges doc into the result of its task by compare-and-set, so that
// concurrent writers lose nothing.
func (r *Results) Merge(ctx context.Context, doc result.Document) (Merged, error) {
	key := callback.Key(doc.Type, doc.TaskID, ".")
	var merged Merged
	revision, err := r.change(ctx, key, func(value []byte) ([]byte, error) {
		merged = Merged{After: doc, Changed: true}
		if value != nil {
			before, err := result.DecodeAll(value)
			if err != nil {
				return nil, ofResult(key, err)
			}
			merged.Before = before
			merged.After, merged.Changed = result.Merge(before, doc)
		}
		if !merged.Changed {
			return nil, nil
		}
		return merged.After.Encode()
	})
	if err != nil {
		return Merged{}, err
	}
	merged.Revision = revision
	return merged, nil
}

// Headers of what is under a key when its value was deleted, or has expired.
const (
	headerOperation = "KV-Operation"
	headerMarker    = jetstream.MarkerReasonHeader
)

// Result returns the document that the delivery of a result holds; there is none
// where the message only says that the result was deleted.
func (d *Delivery) Result() (doc result.Document, found bool, err error) {
	if h := d.msg.Headers(); h.Get(headerOperation) != "" || h.Get(headerMarker) != "" {
		return doc, false, nil
	}
	if doc, err = decodeResult(d.MessageID, d.Body); err != nil {
		return doc, false, err
	}
	if callback.Key(doc.Type, doc.TaskID, ".") != d.MessageID {
		return result.Document{}, false, fmt.Errorf("broker: result %s: it states another task", d.MessageID)
	}
	return doc, true, nil
}
