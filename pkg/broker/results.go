package broker

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// Results is the bucket that holds one result per task.
type Results struct{ bucket }

// Results returns the bucket, which is looked up when it is first used.
func (b *Broker) Results() *Results { return &Results{bucket{broker: b, name: BucketResults}} }

// Get returns the result of a task; found is false when there is none.
func (r *Results) Get(ctx context.Context, t callback.Type, id callback.TaskID) (doc result.Document, found bool, err error) {
	key := callback.Key(t, id, ".")
	value, revision, err := r.get(ctx, key)
	if err != nil || revision == 0 {
		return doc, false, err
	}
	doc, err = decodeResult(key, value)
	return doc, err == nil, err
}

func decodeResult(key string, value []byte) (doc result.Document, err error) {
	if err := json.Unmarshal(value, &doc); err != nil {
		return doc, fmt.Errorf("broker: decode result %s: %w", key, err)
	}
	return doc, nil
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
	var merged Merged
	err := r.change(ctx, key, func(value []byte) ([]byte, error) {
		merged = Merged{After: doc, Changed: true}
		if value != nil {
			before, err := decodeResult(key, value)
			if err != nil {
				return nil, err
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
	return merged, nil
}
