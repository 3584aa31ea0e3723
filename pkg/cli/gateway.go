package cli

import (
	"context"

	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// Front holds the flags of the HTTP front.
type Front struct {
	Listen               string `default:"127.0.0.1:8080" help:"Where the provider's callbacks arrive."`
	AllowUnauthenticated bool   `help:"Listen beyond loopback although nothing authenticates the provider (default: no)."`
}

// Gateway is the command gateway.
type Gateway struct {
	Front
	NATS
	OpsListen string `default:"127.0.0.1:8081" help:"Where operators find /metrics, /healthz, /readyz and /debug/pprof."`
}

// Run serves until ctx ends.
func (c *Gateway) Run(ctx context.Context, env Env) error {
	p := newProcess(env, "gateway")
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	b, err := c.connect(p.logger, "gateway", true)
	if err != nil {
		return err
	}
	defer b.Close()
	p.registry.MustRegister(b.Collector(nil))
	front, err := c.add(p, contracts, b)
	if err != nil {
		return err
	}
	if err := p.bindOps(c.OpsListen); err != nil {
		return err
	}
	p.logger.Info("started", "listen", front.Addr().String(), "ops_listen", p.ops.Addr().String())
	return p.run(ctx)
}

// add adds the HTTP front to a process.
func (f Front) add(p *process, contracts callback.Contracts, b *broker.Broker) (*gateway.Gateway, error) {
	front, err := gateway.New(gateway.Options{
		Logger:               p.logger,
		Registerer:           p.registry,
		Contracts:            contracts,
		Publisher:            b,
		Listen:               f.Listen,
		AllowUnauthenticated: f.AllowUnauthenticated,
	})
	if err != nil {
		return nil, err
	}
	p.add(front)
	p.check("broker", b.Check)
	return front, nil
}
