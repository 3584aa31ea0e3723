package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

const (
	fetchWait     = 2 * time.Second  // for one message; a shutdown waits as long for what is just being handed over
	handBackDelay = fetchWait        // by then this process asks for nothing any more
	inProgress    = 20 * time.Second // between signs of life; the durable waits 60 s
	settleWait    = 30 * time.Second // for insisting on an ack or a dead letter
	ackWait       = 5 * time.Second  // for one ack's confirmation
	ackPause      = 250 * time.Millisecond
	fetchPause    = time.Second      // after a fetch that failed
	openPauseMax  = 30 * time.Second // between looks for a durable that cannot be had; 1 s at first
	maxSilence    = 20 * time.Second // of the server towards every fetch, before another connection is made
	probePause    = 5 * time.Second  // between looks at an archive or results that cannot be written
	maxWorkers    = 256              // the durable takes 512 waiting requests, from all processes
	defaultGiveUp = 6 * time.Hour
)

// Options configures a Runner. Logger, Registerer, Broker, Contract and Handler
// are required; the zero value of every other field selects the default written
// beside it.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Broker     *broker.Broker
	Contract   *callback.Contract
	Handler    Handler

	// Probe reports why media or results could not be stored right now. While a
	// handler fails for that reason, its delivery is held on to instead of being
	// used up; nil means that only the broker can be to blame.
	Probe func(context.Context) error

	// Unseen is told of a callback whose message became a dead letter without the
	// handler having seen this delivery; nil means that nobody wants to know.
	Unseen func(context.Context, callback.Callback) error

	Workers int           // 8: deliveries handled at the same time
	GiveUp  time.Duration // 6h: after receipt, a retryable failure becomes a dead letter
	Drain   time.Duration // 30s: at shutdown, for deliveries in hand
}

func (o *Options) validate() error {
	switch {
	case o.Logger == nil:
		return errors.New("consume: Logger is missing")
	case o.Registerer == nil:
		return errors.New("consume: Registerer is missing")
	case o.Broker == nil:
		return errors.New("consume: Broker is missing")
	case o.Contract == nil:
		return errors.New("consume: Contract is missing")
	case o.Handler == nil:
		return errors.New("consume: Handler is missing")
	case o.Workers < 0 || o.Workers > maxWorkers:
		return fmt.Errorf("consume: %d workers: want 1 to %d", o.Workers, maxWorkers)
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.GiveUp == 0 {
		o.GiveUp = defaultGiveUp
	}
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
	return nil
}

// Runner hands the deliveries of one durable to a handler and settles them.
type Runner struct {
	logger   *slog.Logger
	metrics  *runnerMetrics
	broker   *broker.Broker
	contract *callback.Contract
	handler  Handler
	probe    func(context.Context) error
	unseen   func(context.Context, callback.Callback) error
	giveUp   time.Duration
	drain    time.Duration
	workers  []*worker
	progress progress
	source   source
	inHand   inHand
	calendar *calendar
	history  *history
	retries  *semaphore.Weighted // workers that may handle retries
}

// New validates the options. Run starts the work.
func New(o Options) (*Runner, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	workers := make([]*worker, o.Workers)
	for i := range workers {
		workers[i] = new(worker)
	}
	r := &Runner{
		logger:   o.Logger,
		metrics:  newRunnerMetrics(o.Registerer),
		broker:   o.Broker,
		contract: o.Contract,
		handler:  o.Handler,
		probe:    o.Probe,
		unseen:   o.Unseen,
		giveUp:   o.GiveUp,
		drain:    o.Drain,
		workers:  workers,
		calendar: newCalendar(o.Workers),
		history:  newHistory(),
		retries:  semaphore.NewWeighted(int64(retryWorkers(o.Workers))),
	}
	r.source.trouble = newTrouble()
	return r, nil
}

// Run works until ctx ends. Then it fetches nothing more, and deliveries in hand
// have Drain to finish; what does not is handed back for another process.
func (r *Runner) Run(ctx context.Context) error {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(r.drain, cancel) })
	defer stop()

	var workers, living sync.WaitGroup
	done := make(chan struct{})
	living.Go(func() { r.keepAlive(done) })
	for _, w := range r.workers {
		workers.Go(func() { r.work(ctx, working, w) })
	}
	workers.Wait()
	close(done)
	living.Wait()
	return nil
}

// work is one worker's loop: it asks for a message only when it can take one.
// working outlives ctx, so that what is in hand can be finished.
func (r *Runner) work(ctx, working context.Context, w *worker) {
	for ctx.Err() == nil {
		d, err := r.fetch(ctx)
		switch {
		case err != nil:
			_ = pause(ctx, fetchPause) // the loop's condition sees its end
		case d == nil || !r.inHand.take(d):
			// nothing came, or what came again is still being handled
		default:
			r.takeUp(ctx, working, w, d)
			r.inHand.release(d)
		}
	}
}

// takeUp handles a delivery, unless the end has come, or it is a retry and retries
// have all the workers that they may have.
func (r *Runner) takeUp(ctx, working context.Context, w *worker, d *broker.Delivery) {
	retry := d.Number > 1
	switch {
	case ctx.Err() != nil:
		r.giveBack(d, handBackDelay) // for another process
		return
	case retry && !r.retries.TryAcquire(1):
		r.history.putOff(d.Sequence)
		r.giveBack(d, r.calendar.book(time.Now(), time.Second))
		return
	}
	w.begin()
	start := time.Now()
	r.deliver(working, w, d)
	w.end()
	if retry {
		r.calendar.took(time.Since(start))
		r.retries.Release(1)
	}
}

// giveBack gives a delivery back to its durable, unhandled.
func (r *Runner) giveBack(d *broker.Delivery, delay time.Duration) {
	if err := d.Retry(delay); err != nil {
		r.logger.Warn("message not given back", "message_id", d.MessageID, "error", err)
	}
}

// keepAlive tells the server what is being worked on, until done.
func (r *Runner) keepAlive(done <-chan struct{}) {
	ticker := time.NewTicker(inProgress)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			for _, d := range r.inHand.all() {
				if err := d.InProgress(); err != nil {
					r.logger.Warn("no sign of life given", "message_id", d.MessageID, "error", err)
				}
			}
		}
	}
}

// inHand knows the deliveries that are being handled, by their sequence: a
// message that comes again meanwhile, since signs of life were lost, is not
// handled twice.
type inHand struct {
	mu         sync.Mutex
	deliveries map[uint64]*broker.Delivery
}

func (h *inHand) take(d *broker.Delivery) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, taken := h.deliveries[d.Sequence]; taken {
		return false
	}
	if h.deliveries == nil {
		h.deliveries = make(map[uint64]*broker.Delivery)
	}
	h.deliveries[d.Sequence] = d
	return true
}

func (h *inHand) release(d *broker.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.deliveries, d.Sequence)
}

func (h *inHand) all() []*broker.Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.deliveries))
}
