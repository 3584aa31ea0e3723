package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
)

// Sizes of the store that the streams and the buckets share, in bytes.
const (
	DefaultStoreMaxBytes = 8 << 30  // on a server whose disk is not ours to look at
	MinStoreMaxBytes     = 64 << 20 // below it, a share would hold a handful of large callbacks
)

// A cluster that has just started refuses for a while: its servers elect who decides,
// and that one has to hear of the others.
const (
	gatherWait  = time.Minute // from the first try to the last
	gatherPause = time.Second // between two
)

// What the server answers meanwhile, or nothing at all.
const (
	errCodeNoPeers      jetstream.ErrorCode = 10005 // too few servers are known that could take a copy
	errCodeNotAvailable jetstream.ErrorCode = 10008 // nobody decides
)

// Plan says what to provision. Types is required; the zero value of every other
// field selects the default written beside it.
type Plan struct {
	Types         []callback.Type
	Replicas      int   // 1
	StoreMaxBytes int64 // DefaultStoreMaxBytes: shared by the streams and the buckets
}

// Provision creates the streams, the durables and the buckets that are missing.
// It changes nothing that exists: where that differs from the plan, because an
// operator changed it or the plan did, the differences are returned. A cluster whose
// servers have not all found each other yet has a minute to do so.
func (b *Broker) Provision(ctx context.Context, plan Plan) ([]Drift, error) {
	if len(plan.Types) == 0 {
		return nil, errors.New("broker: provision: no types")
	}
	if plan.Replicas == 0 {
		plan.Replicas = 1
	}
	if plan.StoreMaxBytes == 0 {
		plan.StoreMaxBytes = DefaultStoreMaxBytes
	}
	if plan.StoreMaxBytes < MinStoreMaxBytes {
		return nil, fmt.Errorf("broker: provision: a store of %d bytes: want at least %d", plan.StoreMaxBytes, int64(MinStoreMaxBytes))
	}
	deadline := time.Now().Add(gatherWait) // not ctx's, which would take the place of each request's own
	for told := ""; ; {
		drifts, err := b.provision(ctx, plan)
		if err == nil || !gathering(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return drifts, err
		}
		if err.Error() != told {
			told = err.Error()
			b.logger.Warn("not provisioned yet, trying again for up to a minute", "error", err)
		}
		if pause(ctx, gatherPause) != nil {
			return nil, err
		}
	}
}

// gathering reports whether the servers of a cluster may only need time to find each other.
func gathering(err error) bool {
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		return refused.ErrorCode == errCodeNoPeers || refused.ErrorCode == errCodeNotAvailable
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// provision goes through the plan once.
func (b *Broker) provision(ctx context.Context, plan Plan) ([]Drift, error) {
	var drifts []Drift
	for _, want := range plan.streams() {
		found, err := b.provisionStream(ctx, want)
		if err != nil {
			return nil, err
		}
		drifts = append(drifts, found...)
	}
	for _, t := range plan.Types {
		found, err := b.provisionDurable(ctx, durableConfig(t))
		if err != nil {
			return nil, err
		}
		drifts = append(drifts, found...)
	}
	return drifts, nil
}

// share returns percent of the store.
func (p Plan) share(percent int64) int64 { return p.StoreMaxBytes / 100 * percent }

func (p Plan) streams() []jetstream.StreamConfig {
	callbacks := p.stream(StreamCallbacks, 60)
	callbacks.Description = "Callbacks of the provider, one message each, and dead letters on another go"
	callbacks.Subjects = []string{AllCallbacks, tokenRedeliver + ".>"}
	callbacks.MaxAge = callbacksMaxAge

	deadLetters := p.stream(StreamDeadLetters, 15)
	deadLetters.Description = "Callbacks that a consumer could not process, with the reason"
	deadLetters.Subjects = []string{tokenDeadLetters + ".>"}

	quarantine := p.stream(StreamQuarantine, 10)
	quarantine.Description = "Authentic requests that are no valid callback, or contradict one"
	quarantine.Subjects = []string{tokenQuarantine + ".>"}

	tasks := p.stream(StreamTasks, 1)
	tasks.Description = "Tasks that were submitted, so that their final callbacks are expected"
	tasks.Subjects = []string{tokenTasks + ".>"}

	// People delete single messages of the two other streams, once they have decided.
	callbacks.DenyDelete, tasks.DenyDelete = true, true

	results := p.bucket(BucketResults, 10)
	results.Description = "One result per task"
	results.MaxAge = resultsMaxAge
	results.MaxMsgsPerSubject = resultsHistory

	tasksState := p.bucket(BucketTasksState, 3)
	tasksState.Description = "Which tasks still wait for their final callback, and what was done about it"

	return []jetstream.StreamConfig{callbacks, deadLetters, quarantine, tasks, results, tasksState}
}

// stream is what all our streams have in common: nothing that was accepted is
// dropped to make room, so a full stream refuses, and nobody empties it.
func (p Plan) stream(name string, percent int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              name,
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		MaxAge:            keptMaxAge,
		MaxBytes:          p.share(percent),
		MaxMsgsPerSubject: -1,
		Duplicates:        duplicateWindow,
		Replicas:          p.Replicas,
		AllowDirect:       true,
		DenyPurge:         true,
	}
}

// bucket is the stream behind a key-value bucket, as JetStream's clients would create
// it but for one thing: they let a header on any value purge the whole bucket.
func (p Plan) bucket(name string, percent int64) jetstream.StreamConfig {
	bucket := p.stream("KV_"+name, percent)
	bucket.Subjects = []string{"$KV." + name + ".>"}
	bucket.MaxMsgsPerSubject = 1
	bucket.Duplicates = 2 * time.Minute
	bucket.DenyDelete = true
	return bucket
}

func durableConfig(t callback.Type) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:        string(t),
		Description:    "The " + string(t) + " consumer",
		FilterSubjects: []string{callbacksOf(t), redeliverOf(t)},
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     unlimitedDelivery,
		MaxAckPending:  maxAckPending,
	}
}

func (b *Broker) provisionStream(ctx context.Context, want jetstream.StreamConfig) ([]Drift, error) {
	stream, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = b.js.CreateStream(ctx, want)
	}
	if err != nil {
		return nil, fmt.Errorf("broker: provision stream %s of %d bytes: %w", want.Name, want.MaxBytes, err)
	}
	return driftOfStream(stream.CachedInfo().Config, want), nil
}

func (b *Broker) provisionDurable(ctx context.Context, want jetstream.ConsumerConfig) ([]Drift, error) {
	durable, err := b.js.Consumer(ctx, StreamCallbacks, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		durable, err = b.js.CreateConsumer(ctx, StreamCallbacks, want)
	}
	if err != nil {
		return nil, fmt.Errorf("broker: provision durable %s: %w", want.Durable, err)
	}
	return driftOfDurable(durable.CachedInfo().Config, want), nil
}
