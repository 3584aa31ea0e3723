package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

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

		o := g.receive(ctx, w, r, contract)
		o.answer.write(w)

		took := time.Since(start)
		g.metrics.observe(contract.Type, o, took)
		g.log(ctx, contract.Type, o, took)
	})
}

// outcome is what became of one request.
type outcome struct {
	answer   answer
	result   result
	callback callback.Callback // as far as it is known
	err      error             // for our log only
}

func rejected(a answer, err error) outcome {
	return outcome{answer: a, result: resultRejected, err: err}
}

// receive takes a request through the whole line: read, identify, validate,
// publish. ctx outlives the client, so that what is stored does not depend on
// whether it still listens. A panic costs its own request and no other.
func (g *Gateway) receive(ctx context.Context, w http.ResponseWriter, r *http.Request, contract *callback.Contract) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			o = outcome{answer: standard(http.StatusServiceUnavailable), result: resultUnavailable, err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	if !acceptable(r.Header) {
		abandon(w)
		return rejected(standard(http.StatusUnsupportedMediaType), nil)
	}
	body, a, err := read(ctx, w, r)
	if err != nil {
		return rejected(a, err)
	}
	identified, err := callback.Identify(body)
	if err != nil {
		return rejected(refusal(err), err)
	}
	cb, err := contract.Accept(identified)
	if err != nil {
		o := rejected(refusal(err), err)
		o.callback.TaskID = identified.TaskID
		return o
	}
	cb.Received = time.Now()
	return g.publish(ctx, cb)
}

func (g *Gateway) publish(ctx context.Context, cb callback.Callback) outcome {
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	start := time.Now()
	duplicate, err := g.publisher.Publish(ctx, cb)
	g.metrics.publish.Observe(time.Since(start).Seconds())
	switch {
	case err != nil:
		return outcome{standard(http.StatusServiceUnavailable), resultUnavailable, cb, err}
	case duplicate:
		return outcome{standard(http.StatusOK), resultDuplicate, cb, nil}
	default:
		return outcome{standard(http.StatusOK), resultStored, cb, nil}
	}
}

// read returns the whole body, or the answer to a request that has none of
// acceptable size.
func read(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]byte, answer, error) {
	incomplete := invalid("the body did not arrive whole")
	if r.ContentLength > maxBodyBytes {
		abandon(w)
		return nil, standard(http.StatusRequestEntityTooLarge), errors.New("declared body is too large")
	}
	deadline := time.Now().Add(bodyWait)
	if all, ok := ctx.Deadline(); ok && all.Before(deadline) {
		deadline = all
	}
	if err := http.NewResponseController(w).SetReadDeadline(deadline); err != nil {
		return nil, incomplete, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, standard(http.StatusRequestEntityTooLarge), err
	case err != nil:
		return nil, incomplete, err
	default:
		return body, answer{}, nil
	}
}

// log writes the one line of a callback.
func (g *Gateway) log(ctx context.Context, t callback.Type, o outcome, took time.Duration) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("type", string(t)),
		slog.String("result", string(o.result)),
		slog.Int("http_status", o.answer.status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	}
	if o.callback.TaskID != "" {
		attrs = append(attrs, slog.String("task_id", string(o.callback.TaskID)))
	}
	if o.callback.Stage != "" {
		attrs = append(attrs,
			slog.String("stage", string(o.callback.Stage)),
			slog.Int("code", int(o.callback.Code)),
			slog.Int("bytes", len(o.callback.Body)))
	}
	if o.err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", o.err.Error()))
	}
	g.logger.LogAttrs(ctx, level, "callback", attrs...)
}
