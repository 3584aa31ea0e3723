package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"fanfare/pkg/ops"
	"fanfare/schemas"
)

// process is a long-running command: parts that run together, and the operations
// listener that watches them.
type process struct {
	logger   *slog.Logger
	registry *prometheus.Registry
	parts    []part
	checks   []ops.Check
	ops      *ops.Server
	tracing  *ops.Tracing // nil: nothing is traced
	stopping atomic.Bool
}

// part is anything that runs until its context ends.
type part interface {
	Run(ctx context.Context) error
}

func newProcess(ctx context.Context, env Env, role string) (*process, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	promauto.With(registry).NewGaugeVec(prometheus.GaugeOpts{
		Name: "fanfare_build_info",
		Help: "Always 1; the labels say what runs.",
	}, []string{"version", "commit", "go_version"}).WithLabelValues(env.Version, commit(), runtime.Version()).Set(1)
	logger := env.newLogger(role)
	slog.SetDefault(logger) // for libraries that know of no other
	tracing, err := ops.NewTracing(ctx, logger, role, env.Version)
	if err != nil {
		return nil, err
	}
	return &process{logger: logger, registry: registry, tracing: tracing}, nil
}

func (p *process) add(parts ...part) { p.parts = append(p.parts, parts...) }

func (p *process) check(name string, run func(context.Context) error) {
	p.checks = append(p.checks, ops.Check{Name: name, Run: run})
}

// bindOps binds the operations listener, when every check is there.
func (p *process) bindOps(listen string) error {
	p.check("process", p.running)
	requests, err := schemas.Files.ReadFile("openapi.yaml")
	if err != nil {
		return fmt.Errorf("read the description of the gateway: %w", err)
	}
	messages, err := schemas.Files.ReadFile("asyncapi.yaml")
	if err != nil {
		return fmt.Errorf("read the description of the messages: %w", err)
	}
	server, err := ops.New(ops.Options{Logger: p.logger, Gatherer: p.registry, Listen: listen, Checks: p.checks, OpenAPI: requests, AsyncAPI: messages})
	if err != nil {
		return err
	}
	p.ops = server
	return nil
}

// run runs the parts until ctx ends or one of them fails, which ends the others.
// The operations listener is the last to go, so that the end can be watched.
func (p *process) run(ctx context.Context) error {
	watched, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watching errgroup.Group
	watching.Go(func() error { return p.ops.Run(watched) })

	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { p.stopping.Store(true) })
	defer stop()
	for _, part := range p.parts {
		group.Go(func() error { return part.Run(ctx) })
	}
	err := group.Wait()
	err = errors.Join(err, p.tracing.Close(watched))
	cancel()
	err = errors.Join(err, watching.Wait())
	p.logger.Info("stopped")
	return err
}

// running is a check that fails once the process is about to end.
func (p *process) running(context.Context) error {
	if p.stopping.Load() {
		return errors.New("stopping")
	}
	return nil
}

// commit is the revision that the binary was built from, if it knows.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return "unknown"
}
