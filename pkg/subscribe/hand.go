package subscribe

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"fanfare/pkg/broker"
)

const (
	ackOnce  = 5 * time.Second // for one ack's confirmation
	ackPause = 250 * time.Millisecond
)

// ack insists for a while, since a message that is not acked is handled twice.
func ack(ctx context.Context, d *broker.Delivery, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		once, cancel := context.WithTimeout(ctx, ackOnce)
		err := d.Ack(once)
		cancel()
		if err == nil || pause(ctx, ackPause) != nil {
			return err
		}
	}
}

// keepAlive tells the server at each interval that the delivery is being worked
// on, until the returned function is called.
func keepAlive(logger *slog.Logger, d *broker.Delivery, every time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				if err := d.InProgress(); err != nil {
					logger.Warn("no sign of life given", "message_id", d.MessageID, "error", err)
				}
			}
		}
	}()
	return func() { close(done) }
}

// safely makes an error of a handler's panic, which costs its own delivery and no
// other.
func safely(logger *slog.Logger, d *broker.Delivery, handle func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v", p)
			logger.Error("handler panicked", "message_id", d.MessageID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	return handle()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
