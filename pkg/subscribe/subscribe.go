// Package subscribe hands the callbacks or the results of a type to a service's handler.
//
// A service has durables of its own, which its copies share: it misses nothing
// while it is away, and waits for nobody else. Delivery is at least once: nil acks,
// an error made by [Permanent] ends the deliveries of that message, and any other
// error brings it again later. Callbacks come in no order; the states of a task's
// result come in the order in which they were written. The package never changes a
// durable that exists, and loses nothing to a panic, a restart or a lost durable.
package subscribe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/format"
	"fanfare/pkg/ledger"
	"fanfare/pkg/result"
)

// Options configures a Subscriber. Logger, Broker and Name are required; the zero
// value of every other field selects the default written beside it.
type Options struct {
	Logger    *slog.Logger
	Broker    *broker.Broker
	Name      string             // of the service: its copies have the same, no other service has
	Contracts callback.Contracts // those of this build: what callbacks are held against
	FromNow   bool               // false: a new durable begins with all that is stored; true: with what is stored from then on
	Workers   int                // 8: callbacks handled at the same time, of each type
	AckWait   time.Duration      // 60s: after a sign of life, until another copy gets what this one has in hand
	Drain     time.Duration      // 30s: at shutdown, for handlers to finish
}

var errNoHandler = errors.New("subscribe: handle is missing")

const (
	defaultAckWait = time.Minute
	minAckWait     = 100 * time.Millisecond
	defaultDrain   = 30 * time.Second
)

// Subscriber is one service's access to what it subscribes to.
type Subscriber struct {
	options Options
}

// New validates the options. Nothing is subscribed to yet.
func New(o Options) (*Subscriber, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Subscriber{options: o}, nil
}

func (o *Options) validate() error {
	switch {
	case o.Logger == nil:
		return errors.New("subscribe: Logger is missing")
	case o.Broker == nil:
		return errors.New("subscribe: Broker is missing")
	case o.Workers < 0 || o.Workers > deliver.MaxWorkers:
		return fmt.Errorf("subscribe: %d workers: want 1 to %d", o.Workers, deliver.MaxWorkers)
	case o.AckWait != 0 && o.AckWait < minAckWait:
		return fmt.Errorf("subscribe: ack wait of %s: want at least %s", o.AckWait, minAckWait)
	case o.Drain < 0:
		return fmt.Errorf("subscribe: drain of %s: want more than that", o.Drain)
	}
	o.Workers = cmp.Or(o.Workers, 8)
	o.AckWait = cmp.Or(o.AckWait, defaultAckWait)
	o.Drain = cmp.Or(o.Drain, defaultDrain)
	return o.validateName()
}

// validateName refuses what can be no durable's name, and a type's, which is the
// name of fanfare's own consumer.
func (o *Options) validateName() error {
	if o.Name == "" {
		return errors.New("subscribe: Name is missing")
	}
	if err := broker.CheckService(o.Name); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if o.Contracts == nil {
		contracts, err := callback.LoadContracts()
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		o.Contracts = contracts
	}
	if o.Contracts[callback.Type(o.Name)] != nil {
		return fmt.Errorf("subscribe: service name %q: so is fanfare's own consumer of that type named", o.Name)
	}
	return nil
}

// Callbacks hands each callback of a type to handle until ctx ends, and returns nil
// once what is in hand is done. It waits for a server or a stream that is not there,
// and returns an error only if it cannot go on: the type is unknown, or the durable
// <Name>_<type> on the stream CALLBACKS has other settings ([broker.ErrDiffers]).
//
// Up to Workers handlers run at the same time. A callback that handle fails on comes
// again after 1 s, then twice as long each time, up to 5 min, until it succeeds or
// the stream drops it, 7 days after it came. Dead letters that fanfare's own
// consumers get on another go do not come. Handle must bear to see a callback again,
// of which [callback.Callback.MessageID] is the identity, and return soon once its
// context ends, Drain after ctx. A message that is no valid callback is logged and
// its deliveries end.
func (s *Subscriber) Callbacks(ctx context.Context, t callback.Type, handle func(context.Context, callback.Callback) error) error {
	contract, err := s.contract(t)
	if err != nil {
		return err
	}
	if handle == nil {
		return errNoHandler
	}
	return s.run(ctx, broker.SubscriptionOptions{Type: t}, func(ctx context.Context, d *broker.Delivery) error {
		cb, err := d.Callback(contract)
		if err != nil {
			return unreadable(err)
		}
		return handle(ctx, cb)
	})
}

// Results hands each state of each result of a type to handle, and otherwise goes on
// as Callbacks does, with the durable <Name>_<type> on the stream behind the bucket
// RESULTS.
//
// A task's result changes as its callbacks come and its media are archived. Handle
// gets every state, oldest first; the bucket keeps the last 8 of a task, so these are
// what a service sees that was away for more. One result is handled at a time, by
// all copies together: that keeps the order, whatever fails or restarts. So a result
// that handle fails on holds up those behind it; it comes again after 1 s, then twice
// as long each time, up to 30 s. A result that was deleted says nothing.
func (s *Subscriber) Results(ctx context.Context, t callback.Type, handle func(context.Context, result.Document) error) error {
	if _, err := s.contract(t); err != nil {
		return err
	}
	if handle == nil {
		return errNoHandler
	}
	return s.run(ctx, broker.SubscriptionOptions{Type: t, Results: true}, func(ctx context.Context, d *broker.Delivery) error {
		doc, found, err := d.Result()
		if err != nil {
			return unreadable(err)
		}
		if !found {
			return nil
		}
		return handle(ctx, doc)
	})
}

// Expect says that a task was submitted to the provider, so that its final callback is
// expected and, should it not come, asked for. Call it with the answer to the
// submission; a second time changes nothing. It waits until the announcement is stored:
// an error, [broker.ErrUnavailable] among others, says that it is not.
func (s *Subscriber) Expect(ctx context.Context, t callback.Type, task ledger.Announcement) error {
	if _, err := s.contract(t); err != nil {
		return err
	}
	_, err := s.options.Broker.Announce(ctx, t, task)
	return err
}

func (s *Subscriber) contract(t callback.Type) (*callback.Contract, error) {
	if contract := s.options.Contracts[t]; contract != nil {
		return contract, nil
	}
	return nil, fmt.Errorf("subscribe: there is no type %q, only %v", t, s.options.Contracts.Types())
}

// Permanent marks an error as one that another delivery cannot mend. Nil stays nil.
func Permanent(err error) error { return deliver.Permanent(err) }

// unreadable is the error of a message that the handler cannot be shown: not before an
// upgrade if a newer fanfare wrote it, else never.
func unreadable(err error) error {
	err = fmt.Errorf("subscribe: %w", err)
	if errors.Is(err, format.ErrNewer) {
		return err
	}
	return Permanent(err)
}
