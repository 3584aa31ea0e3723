package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/sony/gobreaker/v2"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/ledger"
	"fanfare/pkg/provider"
)

const (
	turnWait     = 200 * time.Millisecond // for a turn that is near; for any other the task comes again, or workers would wait for turns and never see what is new
	turnGrace    = 2 * time.Second        // after a turn, until it is lost: those that a halt let pass must not be taken all at once
	noTurnWait   = 15 * time.Minute       // while all turns of the next hour are taken
	publishWait  = 8 * time.Second        // for what a poll found
	maxEvery     = 10 * time.Minute       // between polls that the provider gives no usable answer to; doubled each time
	breakAfter   = 10                     // such polls in a row, of whatever tasks, until none is asked about
	breakFor     = 30 * time.Second       // then one is, to see
	breakerProbe = 1
)

// errNoAnswer is what the breaker counts.
var errNoAnswer = errors.New("reconcile: the provider gives no usable answer")

func newBreaker(logger *slog.Logger) *gobreaker.CircuitBreaker[provider.Answer] {
	return gobreaker.NewCircuitBreaker[provider.Answer](gobreaker.Settings{
		MaxRequests: breakerProbe,
		Timeout:     breakFor,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= breakAfter },
		IsExcluded:  func(err error) bool { return err != nil && !errors.Is(err, errNoAnswer) }, // our own end
		OnStateChange: func(_ string, _, to gobreaker.State) {
			logger.Warn("polling", "breaker", to.String())
		},
	})
}

// poll asks about a task if its turn has come, publishes what there is to publish,
// and returns after how long to look at the task again: 0 when nothing more is
// expected of it.
func (r *Reconciler) poll(ctx context.Context, t task) (again time.Duration, asked bool, err error) {
	if r.breaker.State() == gobreaker.StateOpen {
		return jittered(breakFor / 2), false, nil
	}
	if again, err := r.queue(ctx, t); again > 0 || err != nil {
		return again, false, err
	}
	answer, err := r.ask(ctx, t)
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return jittered(breakFor / 2), false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if answer.Outcome == provider.Final || answer.Outcome == provider.Progress {
		if err := r.publish(ctx, answer.Callback); err != nil {
			return 0, false, err
		}
	}
	again, err = r.enterAnswer(ctx, t, answer)
	return again, true, err
}

// queue takes a turn for the poll of a task and waits for it if it is near. For one
// that is further off the task is to come again, after what queue returns.
func (r *Reconciler) queue(ctx context.Context, t task) (again time.Duration, err error) {
	turn := t.entry.Turn
	if turn.IsZero() || time.Since(turn) > turnGrace {
		every := time.Duration(float64(time.Second) / r.options.Rate)
		if turn, err = r.ledger.Turn(ctx, r.options.Provider.Host(), every); err != nil {
			return 0, err
		}
		if turn.IsZero() {
			return jittered(noTurnWait), nil
		}
	}
	wait := time.Until(turn)
	if wait <= turnWait {
		return 0, deliver.Pause(ctx, wait)
	}
	_, err = r.ledger.Change(ctx, t.entry.Type, t.entry.TaskID, func(e ledger.Entry, _ bool) (ledger.Entry, bool) {
		return e.Queue(turn)
	})
	return wait, err
}

// ask asks once, unless the provider has given no usable answers lately.
func (r *Reconciler) ask(ctx context.Context, t task) (provider.Answer, error) {
	answer, err := r.breaker.Execute(func() (provider.Answer, error) {
		answer, err := r.options.Provider.Details(ctx, t.contract, t.entry.TaskID)
		if err != nil {
			return answer, err
		}
		r.metrics.polls.WithLabelValues(string(t.entry.Type), string(answer.Outcome)).Inc()
		r.logger.InfoContext(ctx, "poll", "type", t.entry.Type, "task_id", t.entry.TaskID,
			"outcome", answer.Outcome, "code", answer.Code, "detail", answer.Detail)
		if !answer.Outcome.Usable() && answer.Outcome != provider.Unusable {
			return answer, errNoAnswer
		}
		return answer, nil
	})
	if errors.Is(err, errNoAnswer) {
		return answer, nil
	}
	return answer, err
}

// publish publishes what a poll found as the callback that it replaces. One that came
// meanwhile makes it a duplicate.
func (r *Reconciler) publish(ctx context.Context, cb callback.Callback) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishWait)
	defer cancel()
	cb.Received = time.Now()
	published, err := r.options.Broker.Publish(ctx, cb)
	if err != nil {
		return fmt.Errorf("reconcile: publish what a poll found: %w", err)
	}
	if published == broker.Conflict && cb.Stage.Final() { // with what an earlier poll found: the first one counts
		r.logger.WarnContext(ctx, "a poll contradicts an earlier one", "message_id", cb.MessageID())
	}
	return nil
}

// enterAnswer notes what came of a poll.
func (r *Reconciler) enterAnswer(ctx context.Context, t task, answer provider.Answer) (again time.Duration, err error) {
	now := time.Now()
	entry, err := r.ledger.Change(context.WithoutCancel(ctx), t.entry.Type, t.entry.TaskID, func(e ledger.Entry, _ bool) (ledger.Entry, bool) {
		usable := answer.Outcome.Usable()
		polled, changed := e.Polled(now, string(answer.Outcome), usable, r.pause(e, now, answer))
		if answer.Outcome != provider.Final {
			return polled, changed
		}
		resolved, moved := polled.Resolve(now)
		return resolved, changed || moved
	})
	if err != nil || !entry.State.Open() {
		return 0, err
	}
	return max(time.Until(entry.NextPoll), time.Millisecond), nil
}

// pause is how long to wait before the next poll of a task: longer each time that the
// provider gives no usable answer, and as long as it asks for; but there is one at the
// task's deadline.
func (r *Reconciler) pause(e ledger.Entry, now time.Time, answer provider.Answer) time.Duration {
	wait := r.options.Every
	if !answer.Outcome.Usable() {
		for range e.Failures + 1 {
			if wait = 2 * wait; wait >= maxEvery {
				wait = max(maxEvery, r.options.Every)
				break
			}
		}
	}
	wait = jittered(max(wait, answer.Wait))
	if left := e.Deadline.Sub(now); left > 0 {
		return min(wait, left)
	}
	return wait
}

// jittered spreads waits by a tenth, so that tasks submitted together part.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/5+1) - d/10 //nolint:gosec // jitter needs no secrecy
}
