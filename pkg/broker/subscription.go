package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/callback"
)

// ErrDiffers reports a durable that exists with other settings than those asked
// for. It was left as it is.
var ErrDiffers = errors.New("broker: the durable exists and differs")

// maxServiceBytes bounds a service's name, which the server makes a folder's.
const maxServiceBytes = 64

// CheckService reports why a service's name cannot be part of a durable's.
func CheckService(name string) error {
	if name == "" || len(name) > maxServiceBytes || name != callback.Escape(name) {
		return fmt.Errorf("broker: service name %q: want 1 to %d of a-z, A-Z, 0-9, _ and -", name, maxServiceBytes)
	}
	return nil
}

// SubscriptionOptions says who subscribes to what. Service, Type and AckWait are
// required.
type SubscriptionOptions struct {
	Service string // its copies share a durable
	Type    callback.Type
	Results bool          // the results of the type instead of its callbacks, one at a time
	FromNow bool          // a durable that is created begins with what comes next instead of all that is stored
	AckWait time.Duration // without a sign of life, until a delivery goes to another copy
}

// Subscription is a durable that is there whenever it is opened: one that was lost is
// created again where it was.
type Subscription struct {
	broker *Broker
	stream string
	config jetstream.ConsumerConfig
	own    bool // fanfare's: where it differs is what [Broker.Provision] reports, and an operator's to decide

	mu       sync.Mutex
	consumer jetstream.Consumer // nil until it was first opened
	ackWait  time.Duration      // of the durable, as it then was
	born     time.Time          // of the stream, as it was then
	floor    uint64             // up to which the durable is known to have settled everything
}

// OwnDurable describes the durable of fanfare's own consumer of a type, which has the
// type's name.
func (b *Broker) OwnDurable(t callback.Type) *Subscription {
	return &Subscription{broker: b, stream: StreamCallbacks, ackWait: ackWait, config: durableConfig(t), own: true}
}

// Subscription describes a durable of a service's own, <service>_<type>: as no type
// has a "_", it is never one of fanfare's. It has no part in dead letters on another
// go.
func (b *Broker) Subscription(o SubscriptionOptions) (*Subscription, error) {
	if err := CheckService(o.Service); err != nil {
		return nil, err
	}
	if _, err := callback.ParseType(string(o.Type)); err != nil {
		return nil, err
	}
	s := &Subscription{broker: b, stream: StreamCallbacks, ackWait: o.AckWait, config: jetstream.ConsumerConfig{
		Durable:       o.Service + "_" + string(o.Type),
		Description:   "The " + string(o.Type) + " callbacks for " + o.Service,
		FilterSubject: callbacksOf(o.Type),
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       o.AckWait,
		MaxDeliver:    unlimitedDelivery,
		MaxAckPending: maxAckPending,
	}}
	if o.Results {
		s.stream = streamResults
		s.config.Description = "The " + string(o.Type) + " results for " + o.Service
		s.config.FilterSubject = resultsPrefix + "." + string(o.Type) + ".>"
		s.config.MaxAckPending = 1 // the only way in which all copies together keep the order
	}
	if o.FromNow {
		s.config.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	return s, nil
}

// Name is the durable's.
func (s *Subscription) Name() string { return s.config.Durable }

// AckWait is how long the durable bears no sign of life, before a delivery goes to
// another copy.
func (s *Subscription) AckWait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ackWait
}

// Open looks the durable up, creates it if it is missing, and changes nothing that
// exists: where a service's differs, that is an [ErrDiffers] that names each setting.
// The stream is for [Broker.Provision] to create. A durable that was lost since it was
// last opened goes on where it is known to have been. created tells whether it was
// missing. One opens it at a time.
func (s *Subscription) Open(ctx context.Context) (d *Durable, created bool, err error) {
	stream, err := s.broker.js.Stream(ctx, s.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, false, fmt.Errorf("%w: there is no stream %s: run fanfare provision", ErrNoDurable, s.stream)
	}
	if err != nil {
		return nil, false, fmt.Errorf("broker: look up stream %s: %w", s.stream, err)
	}
	born := stream.CachedInfo().Created
	consumer, created, err := s.lookUpOrCreate(ctx, stream, born)
	if err != nil {
		return nil, false, err
	}
	info := consumer.CachedInfo()
	if !s.own {
		if err := s.differs(info.Config); err != nil {
			return nil, false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.consumer, s.born, s.floor, s.ackWait = consumer, born, info.AckFloor.Stream, info.Config.AckWait
	return &Durable{broker: s.broker, consumer: consumer}, created, nil
}

func (s *Subscription) lookUpOrCreate(ctx context.Context, stream jetstream.Stream, born time.Time) (consumer jetstream.Consumer, created bool, err error) {
	consumer, err = stream.Consumer(ctx, s.Name())
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = stream.CreateConsumer(ctx, s.beginning(born))
		created = err == nil
	}
	if errors.Is(err, jetstream.ErrConsumerExists) { // another copy was faster, and begins elsewhere
		consumer, err = stream.Consumer(ctx, s.Name())
	}
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, false, fmt.Errorf("%w: %s on stream %s is a push consumer", ErrDiffers, s.Name(), s.stream)
	}
	if err != nil {
		return nil, false, fmt.Errorf("broker: open durable %s on stream %s: %w", s.Name(), s.stream, err)
	}
	return consumer, created, nil
}

// beginning is the durable as it is to be created on a stream of that birth: where
// it is known to have been, so that nothing is missed and little comes twice; from
// the start on a stream that has replaced the one that we knew.
func (s *Subscription) beginning(born time.Time) jetstream.ConsumerConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	config := s.config
	switch {
	case s.consumer == nil:
	case s.born.Equal(born):
		config.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		config.OptStartSeq = s.floor + 1
	default:
		config.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	return config
}

// differs compares what there is with what was asked for. Where the durable began
// is its past, and a pause is an operator's own.
func (s *Subscription) differs(is jetstream.ConsumerConfig) error {
	want := s.config
	want.FilterSubjects = []string{want.FilterSubject}
	if is.FilterSubject != "" {
		is.FilterSubjects = []string{is.FilterSubject}
	}
	is.DeliverPolicy, is.PauseUntil = want.DeliverPolicy, want.PauseUntil

	c := comparison{object: "durable " + s.Name(), drifts: driftOfDurable(is, want)}
	c.setting("replay_policy", is.ReplayPolicy, want.ReplayPolicy)
	c.setting("priority_groups", is.PriorityGroups, want.PriorityGroups)
	if len(c.drifts) == 0 {
		return nil
	}
	differences := make([]string, len(c.drifts))
	for i, d := range c.drifts {
		differences[i] = fmt.Sprintf("%s is %s, not %s", d.Setting, d.Is, d.Want)
	}
	return fmt.Errorf("%w: %s on stream %s: %s: delete it, or choose another name", ErrDiffers, s.Name(), s.stream, strings.Join(differences, "; "))
}

// Remember asks how far the durable has come, which is where it goes on should it
// be lost.
func (s *Subscription) Remember(ctx context.Context) error {
	consumer := s.current()
	if consumer == nil {
		return nil
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("broker: look up durable %s on stream %s: %w", s.Name(), s.stream, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer == consumer { // and was not opened again meanwhile
		s.floor = info.AckFloor.Stream
	}
	return nil
}

func (s *Subscription) current() jetstream.Consumer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.consumer
}
