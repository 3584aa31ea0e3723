package cli

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/provider"
	"fanfare/pkg/reconcile"
)

// Polling holds the flags of what asks the provider about tasks that are overdue.
type Polling struct {
	ProviderURL     string        `placeholder:"URL" default:"https://api.kie.ai" help:"The provider's API."`
	ProviderKeyFile string        `placeholder:"FILE" type:"path" help:"File with the key of the provider's API, read again for every poll (default: none)."`
	PollAfter       time.Duration `default:"2m" help:"How long after its submission a task without a final callback is asked about."`
	PollEvery       time.Duration `default:"30s" help:"How long between polls of one task."`
	PollRate        float64       `default:"10" help:"Polls per second, of all processes together."`
	GiveUp          time.Duration `default:"24h" help:"How long after its submission a task is given up of which nothing could be learned."`
}

// Reconciler is the command reconciler.
type Reconciler struct {
	OpsListen   string   `default:"127.0.0.1:0" help:"Where operators find /metrics, /healthz, /readyz and /debug/pprof; the log says which port was taken."`
	EgressAllow []string `placeholder:"ADDRESS" help:"IP, IP:port or CIDR among the special-purpose addresses at which the provider may be; repeatable (default: none)."`
	Polling
	NATS
}

// Run reconciles until ctx ends.
func (c *Reconciler) Run(ctx context.Context, env Env) error {
	if c.ProviderKeyFile == "" {
		return errors.New("--provider-key-file is missing: without the API key nobody can be asked about a task")
	}
	p, err := newProcess(ctx, env, "reconciler")
	if err != nil {
		return err
	}
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	b, err := p.connect(c.NATS, "reconciler")
	if err != nil {
		return err
	}
	defer b.Close()
	p.registry.MustRegister(b.Collector(nil))
	p.check("broker", b.Check)
	if err := c.add(p, contracts, b, c.EgressAllow); err != nil {
		return err
	}
	if err := p.bindOps(c.OpsListen); err != nil {
		return err
	}
	p.logger.Info("started", "ops_listen", p.ops.Addr().String())
	return p.run(ctx)
}

// add adds the reconciler to a process.
func (c Polling) add(p *process, contracts callback.Contracts, b *broker.Broker, egressAllow []string) error {
	key, err := keyIn(c.ProviderKeyFile, p.logger)
	if err != nil {
		return err
	}
	client, err := provider.New(provider.Options{BaseURL: c.ProviderURL, Key: key, EgressAllow: egressAllow})
	if err != nil {
		return err
	}
	reconciler, err := reconcile.New(reconcile.Options{
		Logger:     p.logger,
		Registerer: p.registry,
		Broker:     b,
		Contracts:  contracts,
		Provider:   client,
		After:      c.PollAfter,
		Every:      c.PollEvery,
		GiveUp:     c.GiveUp,
		Rate:       c.PollRate,
	})
	if err != nil {
		return err
	}
	p.add(reconciler)
	p.check("reconciler", reconciler.Check)
	return nil
}

// keyIn returns what reads the key in a file. While it cannot be read, the last one
// that could be counts.
func keyIn(path string, logger *slog.Logger) (func() string, error) {
	key, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	failed := false
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		now, err := readSecret(path)
		if err == nil {
			key = now
		} else if !failed {
			logger.Error("the provider's key cannot be read: the last one is kept", "error", err)
		}
		failed = err != nil
		return key
	}, nil
}
