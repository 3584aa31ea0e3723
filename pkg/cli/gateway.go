package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// Front holds the flags of the HTTP front.
type Front struct {
	Listen               string        `default:"127.0.0.1:8080" help:"Where the provider's callbacks arrive."`
	HMACKeyFile          []string      `placeholder:"FILE" type:"path" help:"File with a key of the provider's signatures; repeatable for rotation (default: signatures are not asked for)."`
	HMACTolerance        time.Duration `default:"5m" help:"How far a signature's timestamp may be from now."`
	URLTokenFile         []string      `name:"url-token-file" placeholder:"FILE" type:"path" help:"File with a token that callback URLs end in; repeatable for rotation (default: none)."`
	AllowFrom            []string      `placeholder:"CIDR" help:"Addresses that may call; repeatable (default: all)."`
	TrustedProxy         []string      `placeholder:"CIDR" help:"Proxies whose X-Forwarded-For counts; repeatable (default: none)."`
	TLSCertFile          string        `placeholder:"FILE" type:"path" help:"PEM file with the TLS certificate chain (default: no TLS)."`
	TLSKeyFile           string        `placeholder:"FILE" type:"path" help:"PEM file with the key of the TLS certificate (default: no TLS)."`
	MaxInFlight          int           `default:"512" help:"Callbacks that are stored at the same time; more are told to come again."`
	AllowUnauthenticated bool          `help:"Listen beyond loopback although nothing authenticates the provider (default: no)."`
}

// Gateway is the command gateway.
type Gateway struct {
	Front
	NATS
	OpsListen string        `default:"127.0.0.1:8081" help:"Where operators find /metrics, /healthz, /readyz and /debug/pprof."`
	StopDelay time.Duration `default:"0s" help:"How long callbacks are taken after the signal to stop, while /readyz says no: until a load balancer has noticed."`
}

// delayed is a part that goes on for a while after it is told to end.
type delayed struct {
	part
	delay time.Duration
}

// Run implements part.
func (d delayed) Run(ctx context.Context) error {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(d.delay, cancel) })()
	return d.part.Run(later)
}

// Run serves until ctx ends.
func (c *Gateway) Run(ctx context.Context, env Env) error {
	p, err := newProcess(ctx, env, "gateway")
	if err != nil {
		return err
	}
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	b, err := p.connect(c.NATS, "gateway")
	if err != nil {
		return err
	}
	defer b.Close()
	p.registry.MustRegister(b.Collector(nil))
	front, err := c.bind(p, contracts, b, env.Reload)
	if err != nil {
		return err
	}
	p.add(delayed{front, c.StopDelay})
	if err := p.bindOps(c.OpsListen); err != nil {
		return err
	}
	p.logger.Info("started", "listen", front.Addr().String(), "ops_listen", p.ops.Addr().String())
	return p.run(ctx)
}

// bind binds the HTTP front, which is then one part more of a process that depends on the broker.
func (f Front) bind(p *process, contracts callback.Contracts, b *broker.Broker, reload <-chan os.Signal) (*gateway.Gateway, error) {
	if f.HMACTolerance <= 0 || f.MaxInFlight <= 0 {
		return nil, errors.New("--hmac-tolerance and --max-in-flight must be more than 0")
	}
	front, err := gateway.New(gateway.Options{
		Logger:               p.logger,
		Registerer:           p.registry,
		Contracts:            contracts,
		Store:                b,
		Tracer:               p.tracing.Tracer(),
		Listen:               f.Listen,
		HMACKeyFiles:         f.HMACKeyFile,
		HMACTolerance:        f.HMACTolerance,
		URLTokenFiles:        f.URLTokenFile,
		AllowFrom:            f.AllowFrom,
		TrustedProxies:       f.TrustedProxy,
		TLSCertFile:          f.TLSCertFile,
		TLSKeyFile:           f.TLSKeyFile,
		Reload:               reload,
		MaxInFlight:          f.MaxInFlight,
		AllowUnauthenticated: f.AllowUnauthenticated,
	})
	if err != nil {
		return nil, err
	}
	p.check("broker", b.Check)
	return front, nil
}
