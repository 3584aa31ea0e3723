package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"fanfare/pkg/broker"
)

const (
	ackOnce    = time.Second     // for one ack's confirmation at first: a leader that is gone never gives it
	ackOnceMax = 5 * time.Second // later; doubled each time
	ackPause   = 250 * time.Millisecond
)

// ErrForgotten reports that the server does not know of a delivery any more, so that
// its message comes again. The loop then settles it without handing it over.
var ErrForgotten = errors.New("deliver: the server has forgotten this delivery")

// Ack settles the message of a delivery as done. It insists for half of the ack wait,
// since a message that is not acked comes again; one that does is acked when it comes.
func (l *Loop) Ack(ctx context.Context, d *broker.Delivery) error {
	patience := time.Now().Add(l.options.Subscription.AckWait() / 2)
	for wait := ackOnce; ; wait = min(2*wait, ackOnceMax) {
		once, cancel := context.WithTimeout(ctx, wait)
		err := d.Ack(once)
		cancel()
		if err == nil {
			l.settled.forget(d)
			return nil
		}
		l.settled.remember(d)
		if l.forgotten(ctx, d) {
			return fmt.Errorf("%w: %w", ErrForgotten, err)
		}
		if time.Now().After(patience) || Pause(ctx, ackPause) != nil {
			return err
		}
	}
}

// forgotten reports whether the server says that it does not know the delivery. One
// without a leader says nothing.
func (*Loop) forgotten(ctx context.Context, d *broker.Delivery) bool {
	ctx, cancel := context.WithTimeout(ctx, ackOnce)
	defer cancel()
	gone, err := d.Forgotten(ctx)
	return err == nil && gone
}

// settleAgain acks a message that was handled before.
func (l *Loop) settleAgain(ctx context.Context, d *broker.Delivery) {
	err := l.Ack(context.WithoutCancel(ctx), d)
	l.logger.InfoContext(ctx, "a message came again that was handled, but whose ack was not confirmed",
		"message_id", d.MessageID, "delivery", d.Number, "settle_error", err)
}

// GiveBack gives a delivery back to its durable, unhandled, to come again after
// delay.
func (l *Loop) GiveBack(d *broker.Delivery, delay time.Duration) {
	if err := d.Retry(delay); err != nil {
		l.logger.Warn("message not given back", "message_id", d.MessageID, "error", err)
	}
}

// Trouble is the kind of what went wrong with a delivery, for its span, or "". What
// the errors of who handles it mean is not known here; _OTHER is OpenTelemetry's word
// for that.
func Trouble(err, settled error) string {
	switch {
	case err != nil:
		return "_OTHER"
	case settled != nil:
		return "unsettled" // done, and not confirmed: it may come again
	default:
		return ""
	}
}

// maxUnconfirmed bounds how many messages are remembered to be handled.
const maxUnconfirmed = 4096

// unconfirmed are the messages that were handled, and acked without an answer.
type unconfirmed struct {
	mu         sync.Mutex
	deliveries map[identity]struct{}
}

func (u *unconfirmed) remember(d *broker.Delivery) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.deliveries) >= maxUnconfirmed {
		for other := range u.deliveries {
			delete(u.deliveries, other) // any one: it is handled twice, should it come again
			break
		}
	}
	u.deliveries[of(d)] = struct{}{}
}

func (u *unconfirmed) forget(d *broker.Delivery) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.deliveries, of(d))
}

func (u *unconfirmed) has(d *broker.Delivery) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, has := u.deliveries[of(d)]
	return has
}

// Safely makes an error of a handler's panic, which costs its own delivery and no
// other.
func Safely(logger *slog.Logger, d *broker.Delivery, handle func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v", p)
			logger.Error("handler panicked", "message_id", d.MessageID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	return handle()
}

// permanentError marks an error that another delivery cannot mend.
type permanentError struct{ error }

// Unwrap returns the error that was marked.
func (e permanentError) Unwrap() error { return e.error }

// Permanent marks an error as one that another delivery cannot mend. Nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// IsPermanent reports whether err was marked by [Permanent].
func IsPermanent(err error) bool {
	_, permanent := errors.AsType[permanentError](err)
	return permanent
}
