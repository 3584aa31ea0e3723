package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// receiver handles the callbacks of one type.
func (g *Gateway) receiver(contract *callback.Contract) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.metrics.inFlight.Inc()
		defer g.metrics.inFlight.Dec()
		start := began(r)
		ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), start.Add(answerWait))
		defer cancel()

		ctx, end := g.traced(ctx, r, contract.Type)
		o := g.safely(func() outcome { return g.receive(ctx, w, r, contract) })
		o.answer.write(w)
		end(o)

		took := time.Since(start)
		g.metrics.observe(ctx, contract.Type, o, took)
		g.log(ctx, contract.Type, o, took)
	})
}

// safely makes an outcome of a panic, which costs its own request and no other.
func (g *Gateway) safely(receive func() outcome) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			o = unavailable(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return receive()
}

// receive takes a request through the whole line: check its head, read it,
// identify, verify, validate, publish. ctx outlives the client, so that what is
// stored does not depend on whether it still listens.
func (g *Gateway) receive(ctx context.Context, w http.ResponseWriter, r *http.Request, contract *callback.Contract) outcome {
	claim, refused, ok := g.checkHead(r)
	if !ok {
		abandon(w)
		return refused
	}
	body, release, err := g.readBody(ctx, w, r)
	defer release()
	if err != nil {
		abandon(w)
		return unread(err)
	}
	if !g.slots.TryAcquire(1) {
		return overloaded()
	}
	defer g.slots.Release(1)

	cb, refused, ok := g.accept(ctx, r, contract, claim, body)
	if !ok {
		return refused
	}
	cb.Received = g.now()
	return g.publish(ctx, r, cb)
}

// accept makes a callback of the body of a request that is the provider's. ok is
// false where it is not, or is no callback, and the outcome is final.
func (g *Gateway) accept(ctx context.Context, r *http.Request, contract *callback.Contract, claim signature, body []byte) (cb callback.Callback, refused outcome, ok bool) {
	if err := g.decoders.Acquire(ctx, 1); err != nil {
		return cb, unavailable(err), false
	}
	id, cb, err := g.decode(contract, body)
	switch {
	case g.keys != nil && id == "":
		return cb, rejected(refusal(err), err), false // without a task ID nothing shows that it is the provider's
	case g.keys != nil && !claim.signs(id, g.keys.get()):
		return cb, unauthenticated(http.StatusUnauthorized, errSignature), false
	case err != nil:
		return cb, g.quarantine(ctx, r, contract.Type, body, err).about(callback.Callback{TaskID: id}), false
	default:
		return cb, outcome{}, true
	}
}

// decode reads a body as far as it can be read: to its task ID, or to the whole
// callback. It gives one place among the decoders back.
func (g *Gateway) decode(contract *callback.Contract, body []byte) (id callback.TaskID, cb callback.Callback, err error) {
	defer g.decoders.Release(1)
	identified, err := contract.Identify(body)
	if err == nil {
		cb, err = contract.Accept(identified)
	}
	return identified.TaskID, cb, err
}

var errSignature = errors.New("gateway: no key gives this signature")

// publish stores a callback. One that contradicts a stored one is answered like
// any other, but goes to quarantine, where no consumer sees it.
func (g *Gateway) publish(ctx context.Context, r *http.Request, cb callback.Callback) outcome {
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	start := time.Now()
	published, err := g.store.Publish(ctx, cb)
	observe(ctx, g.metrics.publish, time.Since(start))
	if err != nil {
		return unavailable(err).about(cb)
	}
	switch published {
	case broker.Conflict:
		if err := g.store.Quarantine(ctx, quarantined(r, cb.Type, broker.ReasonConflict, cb.Body, g.now())); err != nil {
			return unavailable(err).about(cb)
		}
		return outcome{answer: standard(http.StatusOK), result: resultConflict, callback: cb}
	case broker.Duplicate:
		return outcome{answer: standard(http.StatusOK), result: resultDuplicate, callback: cb}
	default:
		return outcome{answer: standard(http.StatusOK), result: resultStored, callback: cb}
	}
}

// quarantine stores an authentic request that is no valid callback, before it is
// refused.
func (g *Gateway) quarantine(ctx context.Context, r *http.Request, t callback.Type, body []byte, cause error) outcome {
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	reason := string(callback.ReasonMalformed)
	if invalid, ok := errors.AsType[*callback.Invalid](cause); ok {
		reason = string(invalid.Reason)
	}
	if err := g.store.Quarantine(ctx, quarantined(r, t, reason, body, g.now())); err != nil {
		return unavailable(errors.Join(cause, err))
	}
	return outcome{answer: refusal(cause), result: resultQuarantined, err: cause}
}

// quarantined is a request as it is kept: its body, and the headers that matter.
func quarantined(r *http.Request, t callback.Type, reason string, body []byte, now time.Time) broker.Quarantined {
	kept := make(map[string]string)
	for _, name := range []string{"Content-Type", headerTimestamp, headerSignature, "User-Agent", "Traceparent"} {
		if value := r.Header.Get(name); value != "" {
			kept[name] = value
		}
	}
	return broker.Quarantined{Type: t, Reason: reason, Received: now, Header: kept, Body: body}
}
