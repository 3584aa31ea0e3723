package broker

import (
	"context"
	"fmt"
)

// Pending is how many messages the durable has not delivered yet.
func (s *Subscription) Pending(ctx context.Context) (uint64, error) {
	consumer, err := s.broker.js.Consumer(ctx, s.stream, s.Name())
	if err != nil {
		return 0, fmt.Errorf("broker: look up durable %s on stream %s: %w", s.Name(), s.stream, err)
	}
	return consumer.CachedInfo().NumPending, nil
}
