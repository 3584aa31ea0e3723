package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
)

const (
	publishWait  = 2 * time.Second        // for one publish ack, before the same message ID is sent again
	publishPause = 100 * time.Millisecond // after a refusal that came at once, such as no connection
)

// errCodeDuplicateInProcess is what a replicated stream answers while another
// publish of the same message ID is still under way.
const errCodeDuplicateInProcess jetstream.ErrorCode = 10158

// Publish stores a callback on its subject and waits for the publish ack. It
// sends the same message ID again until it is confirmed or ctx ends, which is
// then an [ErrUnavailable].
func (b *Broker) Publish(ctx context.Context, cb callback.Callback) (Published, error) {
	ack, again, err := b.publish(ctx, message(cb), cb.MessageID(), StreamCallbacks)
	if err != nil {
		return Stored, err
	}
	if !ack.Duplicate {
		return Stored, nil
	}
	published := b.compare(ctx, cb, ack.Sequence, again)
	if published == Duplicate && !cb.Polled {
		b.cameAgain(ctx, cb)
	}
	return published, nil
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// source is where a callback comes from, in CloudEvents' terms.
func source(cb callback.Callback) string {
	if cb.Polled {
		return sourcePolls + string(cb.Type)
	}
	return "/callbacks/" + string(cb.Type)
}

const sourcePolls = "/polls/"

// specVersion is that of CloudEvents.
const specVersion = "1.0"

// eventType begins the ce-type of a type's callbacks. A callback that means something
// else has another.
func eventType(t callback.Type) string { return "fanfare.callback." + string(t) + "." }

// isNewer reports whether a message of a type's says that it is no callback as this
// fanfare knows them. One that says nothing is.
func isNewer(h nats.Header, t callback.Type) bool {
	spec, event := h.Get(headerSpecVersion), h.Get(headerType)
	return spec != "" && spec != specVersion || event != "" && !strings.HasPrefix(event, eventType(t))
}

// message is the callback as CloudEvents 1.0, binary mode: the body is the
// request body byte for byte.
func message(cb callback.Callback) *nats.Msg {
	msg := nats.NewMsg(Subject(cb.Type, cb.Stage))
	msg.Data = cb.Body
	for name, value := range map[string]string{
		headerSpecVersion: specVersion,
		headerID:          cb.MessageID(),
		headerType:        eventType(cb.Type) + string(cb.Stage),
		headerSource:      source(cb),
		headerSubject:     string(cb.TaskID),
		headerTime:        timestamp(cb.Received),
		headerContentType: "application/json",
		headerStage:       string(cb.Stage),
		headerCode:        strconv.Itoa(int(cb.Code)),
	} {
		msg.Header[name] = []string{value}
	}
	return msg
}

// publish sends msg under id until it is confirmed, refused for good, or ctx
// ends. again says that an earlier sending was not answered, so that a duplicate
// may be our own.
func (b *Broker) publish(ctx context.Context, msg *nats.Msg, id, stream string) (ack *jetstream.PubAck, again bool, err error) {
	ctx, end := b.traced(ctx, msg, id)
	defer func() { end(err) }()
	for {
		if ack, err = b.publishOnce(ctx, msg, id, stream); err == nil {
			return ack, again, nil
		}
		again = again || errors.Is(err, context.DeadlineExceeded)
		if !transient(err) || pause(ctx, publishPause) != nil {
			return nil, again, fmt.Errorf("%w: publish %s id=%s: %w", ErrUnavailable, msg.Subject, id, err)
		}
	}
}

func (b *Broker) publishOnce(ctx context.Context, msg *nats.Msg, id, stream string) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	return b.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id), jetstream.WithExpectStream(stream), jetstream.WithRetryAttempts(0))
}

// transient reports whether the same publish may succeed a little later: the
// server did not answer, or is still at the same message. What the server
// refused by name stays refused, and what is too large for it stays too large.
func transient(err error) bool {
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		return refused.ErrorCode == errCodeDuplicateInProcess
	}
	return !errors.Is(err, nats.ErrMaxPayload)
}
