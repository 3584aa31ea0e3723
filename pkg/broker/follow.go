package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// resultsSubject is the first token by which [Broker.Follow] knows results; on
// the bucket's stream they stand under JetStream's own prefix.
const (
	resultsSubject = "results"
	resultsPrefix  = "$KV." + BucketResults
)

// Message is one stored message, as [Broker.Follow] shows it.
type Message struct {
	Subject  string // callbacks.<type>.<stage>, or results.<type>.<escaped task ID>
	Sequence uint64 // in its stream
	Stored   time.Time
	Header   map[string]string // first value of each
	Body     []byte
}

// Follow calls show for each message on the subject filter, oldest first, from
// since on; the zero time means from now on. The filter begins with callbacks,
// redeliver, quarantine, dead-letters or results. It returns nil when ctx ends.
func (b *Broker) Follow(ctx context.Context, filter string, since time.Time, show func(Message) error) error {
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy}
	if !since.IsZero() {
		config.DeliverPolicy = jetstream.DeliverByStartTimePolicy
		config.OptStartTime = &since
	}
	consumer, err := b.ordered(ctx, filter, config)
	if err != nil {
		return err
	}
	return each(ctx, filter, consumer, math.MaxUint64, show)
}

// Read calls show for each message that there is on the subject filter now,
// oldest first.
func (b *Broker) Read(ctx context.Context, filter string, show func(Message) error) error {
	consumer, err := b.ordered(ctx, filter, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("broker: read %s: %w", filter, err)
	}
	if err := each(ctx, filter, consumer, info.NumPending, show); err != nil {
		return err
	}
	return ctx.Err()
}

func (b *Broker) ordered(ctx context.Context, filter string, config jetstream.OrderedConsumerConfig) (jetstream.Consumer, error) {
	stream, subject, err := streamOf(filter)
	if err != nil {
		return nil, err
	}
	config.FilterSubjects = []string{subject}
	consumer, err := b.js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return nil, fmt.Errorf("broker: open %s: %w", filter, err)
	}
	return consumer, nil
}

// each calls show for count messages, or until ctx ends.
func each(ctx context.Context, filter string, consumer jetstream.Consumer, count uint64, show func(Message) error) error {
	if count == 0 {
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("broker: follow %s: %w", filter, err)
	}
	defer messages.Stop()
	for ; count > 0; count-- {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("broker: follow %s: %w", filter, err)
		}
		shown, err := shown(msg)
		if err != nil {
			return err
		}
		if err := show(shown); err != nil {
			return err
		}
	}
	return nil
}

// streamOf finds the stream that holds a filter's subjects, and the filter as
// the stream knows it.
func streamOf(filter string) (stream, subject string, err error) {
	first, rest, _ := strings.Cut(filter, ".")
	if rest == "" {
		rest = ">"
	}
	subject = first + "." + rest
	switch first {
	case tokenCallbacks, tokenRedeliver:
		return StreamCallbacks, subject, nil
	case tokenQuarantine:
		return StreamQuarantine, subject, nil
	case tokenDeadLetters:
		return StreamDeadLetters, subject, nil
	case resultsSubject:
		return streamResults, resultsPrefix + "." + rest, nil
	default:
		return "", "", fmt.Errorf("broker: no stream holds %q: a subject begins with %s, %s, %s, %s or %s",
			filter, tokenCallbacks, tokenRedeliver, tokenQuarantine, tokenDeadLetters, resultsSubject)
	}
}

func shown(msg jetstream.Msg) (Message, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Message{}, fmt.Errorf("broker: message on %s: %w", msg.Subject(), err)
	}
	header := make(map[string]string, len(msg.Headers()))
	for name := range msg.Headers() {
		header[name] = msg.Headers().Get(name)
	}
	subject := msg.Subject()
	if rest, ok := strings.CutPrefix(subject, resultsPrefix); ok {
		subject = resultsSubject + rest
	}
	return Message{
		Subject:  subject,
		Sequence: meta.Sequence.Stream,
		Stored:   meta.Timestamp.UTC(),
		Header:   header,
		Body:     msg.Data(),
	}, nil
}
