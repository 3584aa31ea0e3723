package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// resultsSubject is the first token by which [Broker.Follow] knows results; on
// the bucket's stream they stand under JetStream's own prefix.
const (
	resultsSubject = "results"
	resultsPrefix  = "$KV." + BucketResults
)

// Message is one stored message, as [Broker.Follow] and [Broker.Read] show it.
type Message struct {
	Subject  string // callbacks.<type>.<stage>, say, or results.<type>.<escaped task ID>
	Sequence uint64 // in its stream
	Stored   time.Time
	Header   map[string]string // first value of each
	Body     []byte
}

// Follow calls show for each message on the subject filter, oldest first, from
// since on; the zero time means from now on. The filter begins with callbacks,
// redeliver, quarantine, dead-letters, tasks or results. It returns nil when ctx ends.
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
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("broker: follow %s: %w", filter, err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("broker: follow %s: %w", filter, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("broker: message on %s: %w", msg.Subject(), err)
		}
		if err := show(newMessage(msg.Subject(), meta.Sequence.Stream, meta.Timestamp, msg.Headers(), msg.Data())); err != nil {
			return err
		}
	}
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
	case tokenTasks:
		return StreamTasks, subject, nil
	case resultsSubject:
		return streamResults, resultsPrefix + "." + rest, nil
	default:
		return "", "", fmt.Errorf("broker: no stream holds %q: a subject begins with %s, %s, %s, %s, %s or %s",
			filter, tokenCallbacks, tokenRedeliver, tokenQuarantine, tokenDeadLetters, tokenTasks, resultsSubject)
	}
}

func newMessage(subject string, sequence uint64, stored time.Time, header nats.Header, body []byte) Message {
	first := make(map[string]string, len(header))
	for name := range header {
		first[name] = header.Get(name)
	}
	if rest, ok := strings.CutPrefix(subject, resultsPrefix); ok {
		subject = resultsSubject + rest
	}
	return Message{Subject: subject, Sequence: sequence, Stored: stored.UTC(), Header: first, Body: body}
}
