package consume

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"fanfare/pkg/broker"
	"fanfare/pkg/deliver"
	"fanfare/pkg/format"
	"fanfare/pkg/media"
)

// judged says in the delivery's span what became of it, and why.
func judged(ctx context.Context, d *broker.Delivery, what decision, settled error) {
	if what.verdict == verdictDeadLetter {
		trace.SpanFromContext(ctx).SetAttributes(attribute.String("fanfare.reason", what.reason))
	}
	d.Judged(ctx, string(what.verdict), trouble(what.err, settled))
}

// trouble is the kind of what went wrong, or "".
func trouble(err, settled error) string {
	fetch, fetched := errors.AsType[*media.FetchError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "shutdown"
	case unwritable(err):
		return "unwritable"
	case errors.Is(err, format.ErrNewer):
		return "newer"
	case errors.Is(err, errInvalid):
		return reasonInvalid
	case errors.Is(err, errDeadly):
		return reasonDeadly
	case fetched:
		return string(fetch.Reason)
	default:
		return deliver.Trouble(err, settled)
	}
}
