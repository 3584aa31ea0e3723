package gateway

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"fanfare/pkg/callback"
)

// traced begins the span of a request, in the trace that it may carry. The returned
// function ends it.
func (g *Gateway) traced(ctx context.Context, r *http.Request, t callback.Type) (context.Context, func(outcome)) {
	if g.tracer == nil {
		return ctx, func(outcome) {}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	ctx, span := g.tracer.Start(ctx, "POST /callbacks/"+string(t), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", http.MethodPost),
		attribute.String("http.route", "/callbacks/"+string(t)),
	))
	return ctx, func(o outcome) {
		span.SetAttributes(
			attribute.Int("http.response.status_code", o.answer.status),
			attribute.String("fanfare.result", string(o.result)),
			attribute.String("fanfare.stage", string(o.callback.Stage)),
			attribute.String("fanfare.task_id", string(o.callback.TaskID)),
		)
		if o.answer.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
