package subscribe

import (
	"context"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/deliver"
)

// The longest waits before another delivery.
const (
	maxCallbackDelay = 5 * time.Minute
	maxResultDelay   = 30 * time.Second // a result holds up those behind it
)

// run subscribes until ctx ends.
func (s *Subscriber) run(ctx context.Context, o broker.SubscriptionOptions, handle func(context.Context, *broker.Delivery) error) error {
	o.Service, o.FromNow, o.AckWait = s.options.Name, s.options.FromNow, s.options.AckWait
	subscription, err := s.options.Broker.Subscription(o)
	if err != nil {
		return err
	}
	workers, maxDelay, what := s.options.Workers, maxCallbackDelay, "callbacks"
	if o.Results {
		workers, maxDelay, what = 1, maxResultDelay, "results"
	}
	logger := s.options.Logger.With("of", what)
	d := &deliverer{logger: logger.With("durable", subscription.Name()), handle: handle, maxDelay: maxDelay}
	d.loop = deliver.New(deliver.Options{
		Logger:       logger,
		Subscription: subscription,
		Workers:      workers,
		Drain:        s.options.Drain,
		Deliver: func(ctx context.Context, delivery *broker.Delivery, done func()) {
			defer done()
			d.deliver(ctx, delivery)
		},
	})
	return d.loop.Run(ctx)
}
