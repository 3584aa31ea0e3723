package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"fanfare/pkg/callback"
)

// outcome is what became of one request.
type outcome struct {
	answer   answer
	result   result
	callback callback.Callback // as far as it is known
	err      error             // for our log only
}

// about adds what is known of the callback.
func (o outcome) about(cb callback.Callback) outcome {
	o.callback = cb
	return o
}

func rejected(a answer, err error) outcome {
	return outcome{answer: a, result: resultRejected, err: err}
}

func unauthenticated(status int, err error) outcome {
	return outcome{answer: standard(status), result: resultUnauthenticated, err: err}
}

func unavailable(err error) outcome {
	return outcome{answer: standard(http.StatusServiceUnavailable), result: resultUnavailable, err: err}
}

func overloaded() outcome {
	return outcome{answer: standard(http.StatusTooManyRequests), result: resultUnavailable, err: errors.New("gateway: too many callbacks in flight")}
}

// unread is the outcome of a body that could not be read whole.
func unread(err error) outcome {
	switch {
	case errors.Is(err, errTooLarge):
		return rejected(standard(http.StatusRequestEntityTooLarge), err)
	case errors.Is(err, errNoMemory):
		return unavailable(err)
	default:
		return rejected(invalid("the body did not arrive whole"), err)
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
