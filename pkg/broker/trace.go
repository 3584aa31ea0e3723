package broker

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// headers lets a message carry the W3C trace context, in lower case as CloudEvents'
// distributed tracing has it.
type headers nats.Header

func (h headers) Get(key string) string { return nats.Header(h).Get(key) }
func (h headers) Set(key, value string) { h[key] = []string{value} }
func (h headers) Keys() []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}

// traced begins the span of publishing msg, if there is a trace, and makes the message
// carry it. The returned function ends it.
func (b *Broker) traced(ctx context.Context, msg *nats.Msg, id string) (context.Context, func(error)) {
	if b.tracer == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, func(error) {}
	}
	ctx, span := b.tracer.Start(ctx, "publish "+msg.Subject, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("messaging.system", "nats"),
		attribute.String("messaging.destination.name", msg.Subject),
		attribute.String("messaging.message.id", id),
	))
	propagation.TraceContext{}.Inject(ctx, headers(msg.Header))
	return ctx, func(err error) { endSpan(span, err) }
}

// Trace begins the span of handling the delivery, in the trace that its message
// carries. The returned function ends it.
func (d *Delivery) Trace(ctx context.Context) (context.Context, func()) {
	if d.broker.tracer == nil {
		return ctx, func() {}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, headers(d.msg.Headers()))
	ctx, span := d.broker.tracer.Start(ctx, "process "+d.msg.Subject(), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("messaging.system", "nats"),
		attribute.String("messaging.destination.name", d.msg.Subject()),
		attribute.String("messaging.consumer.group.name", d.meta.Consumer),
		attribute.String("messaging.message.id", d.MessageID),
		attribute.Int64("messaging.nats.delivery", int64(d.Number)), //nolint:gosec // far below 2^63
	))
	return ctx, func() { span.End() }
}

// Judged says in the delivery's span, which ctx carries, what became of the message.
// trouble is the kind of what went wrong, from a closed set, or "": an error's text may
// quote a payload or a URL, and stays out.
func (d *Delivery) Judged(ctx context.Context, verdict, trouble string) {
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.String("fanfare.verdict", verdict))
	if trouble != "" {
		span.SetAttributes(attribute.String("error.type", trouble))
		span.SetStatus(codes.Error, verdict)
	}
}

func endSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "not confirmed")
	}
	span.End()
}
