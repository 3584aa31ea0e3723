package ops

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// flushWait bounds sending the last spans at the end of a process.
const flushWait = 5 * time.Second

// Tracing sends spans by OTLP over HTTP, as the OTEL_* environment variables of the
// exporter, the sampler, the resource, and the batches and limits of spans say
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
// OTEL_PROPAGATORS is not read: whoever passes a trace on does so as W3C has it.
type Tracing struct{ provider *trace.TracerProvider }

// NewTracing returns nil, for no tracing at all, unless the environment asks for it:
// by OTEL_TRACES_EXPORTER=otlp, or by an endpoint.
func NewTracing(ctx context.Context, logger *slog.Logger, role, version string) (*Tracing, error) {
	wanted, err := tracingWanted()
	if err != nil || !wanted {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("ops: set up tracing by the OTEL_* variables: %w", err)
	}
	self := resource.NewSchemaless(
		attribute.String("service.name", "fanfare-"+role),
		attribute.String("service.version", version),
	)
	described, err := resource.New(ctx, resource.WithFromEnv(), resource.WithHost(), resource.WithProcessPID())
	if err != nil {
		return nil, fmt.Errorf("ops: set up tracing: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if described, err = resource.Merge(self, described); err != nil {
		return nil, fmt.Errorf("ops: set up tracing: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("tracing", "error", err) }))
	return &Tracing{trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(described))}, nil
}

// tracingWanted reads the variables that switch tracing on and off.
func tracingWanted() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	endpoint := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "":
		if !endpoint {
			return false, nil
		}
	case "otlp":
	default:
		return false, fmt.Errorf("ops: OTEL_TRACES_EXPORTER is %q: want otlp or none", exporter)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" && protocol != "http/protobuf" {
			return false, fmt.Errorf("ops: %s is %q: only http/protobuf is spoken", name, protocol)
		}
	}
	return true, nil
}

// Tracer returns what makes spans; nil: nothing does.
func (t *Tracing) Tracer() oteltrace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("fanfare")
}

// Close sends the last spans.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushWait)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("ops: send the last spans: %w", err)
	}
	return nil
}
