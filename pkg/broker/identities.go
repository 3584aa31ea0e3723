package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
)

// Identity is who a stored callback says that it is.
type Identity struct {
	Type      callback.Type
	TaskID    callback.TaskID
	MessageID string
}

// Identities calls show for each callback that was stored since then and is there
// now, oldest first. The bodies are not read.
func (b *Broker) Identities(ctx context.Context, since time.Time, show func(Identity)) error {
	consumer, err := b.ordered(ctx, AllCallbacks, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy,
		OptStartTime:  &since,
		HeadersOnly:   true,
	})
	if err != nil {
		return err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("broker: look up callbacks: %w", err)
	}
	if info.NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("broker: read callbacks: %w", err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("broker: read callbacks: %w", err)
		}
		d, err := b.delivery(msg)
		if err != nil {
			return err
		}
		show(Identity{Type: d.Type, TaskID: callback.TaskID(msg.Headers().Get(headerSubject)), MessageID: d.MessageID})
		if d.meta.NumPending == 0 { // what comes later is not waited for
			return nil
		}
	}
}
