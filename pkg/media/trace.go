package media

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// traced begins the span of a download, if ctx belongs to a trace. The returned
// function ends it. A URL's path and query stay out of it: they may be secrets.
func traced(ctx context.Context, key string) (context.Context, func(File, error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(File, error) {}
	}
	ctx, span := parent.TracerProvider().Tracer("fanfare").Start(ctx, "download",
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("fanfare.archive.key", key)))
	return ctx, func(file File, err error) {
		span.SetAttributes(attribute.Int64("fanfare.bytes", file.Bytes))
		if fetch, ok := errors.AsType[*FetchError](err); ok {
			span.SetAttributes(attribute.String("error.type", string(fetch.Reason)))
		}
		if err != nil {
			span.SetStatus(codes.Error, "not archived")
		}
		span.End()
	}
}
