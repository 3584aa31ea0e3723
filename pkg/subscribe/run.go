package subscribe

import (
	"context"
	"sync"
	"time"

	"fanfare/pkg/broker"
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
	logger := s.options.Logger.With("durable", subscription.Name(), "of", what)
	d := &deliverer{logger: logger, handle: handle, ackWait: s.options.AckWait, maxDelay: maxDelay}
	l := &loop{
		source:  source{logger: logger, open: subscription.Open},
		workers: workers,
		drain:   s.options.Drain,
		deliver: d.deliver,
	}
	if o.Results {
		l.deliver = func(ctx context.Context, delivery *broker.Delivery) {
			delivery.MessageID = delivery.ResultKey() // a result has no other
			d.deliver(ctx, delivery)
		}
	}
	remembering, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { remember(remembering, subscription, s.options.AckWait/2) })
	defer group.Wait()
	defer stop()
	return l.run(ctx)
}

// remember looks now and then how far the durable has come: if it is lost, what
// was settled since then comes again.
func remember(ctx context.Context, s *broker.Subscription, every time.Duration) {
	for pause(ctx, every) == nil {
		_ = s.Remember(ctx) // trouble with the server is for the fetches to tell
	}
}
