package cli

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"fanfare/pkg/ops"
)

// process is a long-running command: parts that run together, and the operations
// listener that watches them.
type process struct {
	logger   *slog.Logger
	registry *prometheus.Registry
	parts    []part
	checks   []ops.Check
}

// part is anything that runs until its context ends.
type part interface {
	Run(ctx context.Context) error
}

func newProcess(env Env, role string) *process {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	promauto.With(registry).NewGaugeVec(prometheus.GaugeOpts{
		Name: "fanfare_build_info",
		Help: "Always 1; the labels say what runs.",
	}, []string{"version", "commit", "go_version"}).WithLabelValues(env.Version, commit(), runtime.Version()).Set(1)
	return &process{logger: env.newLogger(role), registry: registry}
}

func (p *process) add(parts ...part) { p.parts = append(p.parts, parts...) }

func (p *process) check(name string, run func(context.Context) error) {
	p.checks = append(p.checks, ops.Check{Name: name, Run: run})
}

// bindOps binds the operations listener and adds it to the parts.
func (p *process) bindOps(listen string) (*ops.Server, error) {
	server, err := ops.New(ops.Options{Logger: p.logger, Gatherer: p.registry, Listen: listen, Checks: p.checks})
	if err != nil {
		return nil, err
	}
	p.add(server)
	return server, nil
}

// run runs the parts until ctx ends or one of them fails, which ends the others.
func (p *process) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range p.parts {
		group.Go(func() error { return part.Run(ctx) })
	}
	err := group.Wait()
	p.logger.Info("stopped")
	return err
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
