package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// maxSwaps bounds how often a value is written again because another writer was
// faster.
const maxSwaps = 32

// bucket is a key-value bucket, which is looked up when it is first used.
type bucket struct {
	broker *Broker
	name   string

	mu sync.Mutex
	kv jetstream.KeyValue // nil until it was first found
}

func (k *bucket) open(ctx context.Context) (jetstream.KeyValue, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kv == nil {
		kv, err := k.broker.js.KeyValue(ctx, k.name)
		if err != nil {
			return nil, fmt.Errorf("%w: open bucket %s: %w", ErrUnavailable, k.name, err)
		}
		k.kv = kv
	}
	return k.kv, nil
}

// get returns the value under key and its revision, which is 0 when there is none.
func (k *bucket) get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	kv, err := k.open(ctx)
	if err != nil {
		return nil, 0, err
	}
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: read %s of bucket %s: %w", ErrUnavailable, key, k.name, err)
	}
	return entry.Value(), entry.Revision(), nil
}

// change replaces the value under key by what next makes of it, by compare-and-set:
// if another writer was faster, next is asked again. It gets nil where there is no
// value, and returns nil to leave it as it is. The revision is of the value now.
func (k *bucket) change(ctx context.Context, key string, next func(value []byte) ([]byte, error)) (revision uint64, err error) {
	for range maxSwaps {
		before, revision, err := k.get(ctx, key)
		if err != nil {
			return 0, err
		}
		after, err := next(before)
		if err != nil || after == nil {
			return revision, err
		}
		revision, err = k.swap(ctx, key, after, revision)
		if err == nil {
			return revision, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) && !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return 0, fmt.Errorf("%w: write %s of bucket %s: %w", ErrUnavailable, key, k.name, err)
		}
		if err := pause(ctx, rand.N(20*time.Millisecond)); err != nil { //nolint:gosec // jitter needs no secrecy
			return 0, fmt.Errorf("broker: write %s of bucket %s: %w", key, k.name, err)
		}
	}
	return 0, fmt.Errorf("%w: write %s of bucket %s: %d other writers were faster", ErrUnavailable, key, k.name, maxSwaps)
}

// swap writes value if the key is still at revision, and returns the one that it has then.
func (k *bucket) swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	kv, err := k.open(ctx)
	if err != nil {
		return 0, err
	}
	if revision == 0 {
		return kv.Create(ctx, key, value)
	}
	return kv.Update(ctx, key, value, revision)
}

// watch calls show for every value under keys, and then for each that changes, until
// ctx ends or show fails. Once it has shown all that there were, it calls current.
func (k *bucket) watch(ctx context.Context, keys string, show func(key string, value []byte) error, current func()) error {
	kv, err := k.open(ctx)
	if err != nil {
		return err
	}
	watcher, err := kv.Watch(ctx, keys, jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("%w: watch bucket %s: %w", ErrUnavailable, k.name, err)
	}
	defer func() { _ = watcher.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case update, ok := <-watcher.Updates():
			switch {
			case ctx.Err() != nil:
				return nil // which ends the updates too
			case !ok:
				return fmt.Errorf("%w: watch bucket %s: it ended", ErrUnavailable, k.name)
			case update == nil:
				current()
			default:
				if err := show(update.Key(), update.Value()); err != nil {
					return err
				}
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
