package broker

import (
	"context"
	"fmt"

	"fanfare/pkg/callback"
)

// Activity says whether anything is still under way.
type Activity struct {
	Unsettled uint64 // messages that some durable has not settled
	Moves     uint64 // grows whenever a callback is stored, a delivery settled or a result written
}

// Activity sums up the durables of types and the results.
func (b *Broker) Activity(ctx context.Context, types []callback.Type) (Activity, error) {
	var a Activity
	for _, name := range []string{StreamCallbacks, streamResults} {
		stream, err := b.js.Stream(ctx, name)
		if err != nil {
			return Activity{}, fmt.Errorf("broker: look up stream %s: %w", name, err)
		}
		a.Moves += stream.CachedInfo().State.LastSeq
	}
	for _, t := range types {
		backlog, err := b.Backlog(ctx, t)
		if err != nil {
			return Activity{}, err
		}
		a.Unsettled += backlog.Unsettled()
		a.Moves += backlog.settled
	}
	return a, nil
}
