package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// maxSwaps bounds how often a result is written again because another writer
// was faster.
const maxSwaps = 32

// Results is the bucket that holds one result per task.
type Results struct {
	broker *Broker
	mu     sync.Mutex
	bucket jetstream.KeyValue // nil until it was first found
}

// Results returns the bucket, which is looked up when it is first used.
func (b *Broker) Results() *Results { return &Results{broker: b} }

func (r *Results) open(ctx context.Context) (jetstream.KeyValue, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bucket == nil {
		bucket, err := r.broker.js.KeyValue(ctx, BucketResults)
		if err != nil {
			return nil, fmt.Errorf("%w: open bucket %s: %w", ErrUnavailable, BucketResults, err)
		}
		r.bucket = bucket
	}
	return r.bucket, nil
}

// Get returns the result of a task; found is false when there is none.
func (r *Results) Get(ctx context.Context, t callback.Type, id callback.TaskID) (doc result.Document, found bool, err error) {
	doc, revision, err := r.get(ctx, callback.Key(t, id, "."))
	return doc, revision > 0, err
}

// get returns the document under key and its revision, which is 0 when there is
// none.
func (r *Results) get(ctx context.Context, key string) (doc result.Document, revision uint64, err error) {
	bucket, err := r.open(ctx)
	if err != nil {
		return doc, 0, err
	}
	entry, err := bucket.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return doc, 0, nil
	}
	if err != nil {
		return doc, 0, fmt.Errorf("%w: read result %s: %w", ErrUnavailable, key, err)
	}
	if err := json.Unmarshal(entry.Value(), &doc); err != nil {
		return doc, 0, fmt.Errorf("broker: decode result %s revision %d: %w", key, entry.Revision(), err)
	}
	return doc, entry.Revision(), nil
}

// Merged is what a merge did.
type Merged struct {
	Before  result.Document // the result before; the zero Document if there was none
	After   result.Document // the result now
	Changed bool            // whether they differ
}

// Merge merges doc into the result of its task by compare-and-set, so that
// concurrent writers lose nothing.
func (r *Results) Merge(ctx context.Context, doc result.Document) (Merged, error) {
	key := callback.Key(doc.Type, doc.TaskID, ".")
	for range maxSwaps {
		before, revision, err := r.get(ctx, key)
		if err != nil {
			return Merged{}, err
		}
		after, changed := doc, true
		if revision > 0 {
			after, changed = result.Merge(before, doc)
		}
		if !changed {
			return Merged{Before: before, After: after}, nil
		}
		err = r.swap(ctx, key, after, revision)
		if err == nil {
			return Merged{Before: before, After: after, Changed: true}, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) && !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return Merged{}, fmt.Errorf("%w: write result %s: %w", ErrUnavailable, key, err)
		}
		if err := pause(ctx, rand.N(20*time.Millisecond)); err != nil { //nolint:gosec // jitter needs no secrecy
			return Merged{}, fmt.Errorf("broker: write result %s: %w", key, err)
		}
	}
	return Merged{}, fmt.Errorf("%w: write result %s: %d other writers were faster", ErrUnavailable, key, maxSwaps)
}

// swap writes doc if the key is still at revision.
func (r *Results) swap(ctx context.Context, key string, doc result.Document, revision uint64) error {
	value, err := doc.Encode()
	if err != nil {
		return err
	}
	bucket, err := r.open(ctx)
	if err != nil {
		return err
	}
	if revision == 0 {
		_, err = bucket.Create(ctx, key, value)
	} else {
		_, err = bucket.Update(ctx, key, value, revision)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
