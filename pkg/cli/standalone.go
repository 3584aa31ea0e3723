package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"fanfare/consumers"
	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd"
	"fanfare/pkg/ops"
)

// Standalone is the command standalone.
type Standalone struct {
	DataDir       string `default:"./fanfare-data" type:"path" help:"Directory for the broker's store and, in archive/, the media."`
	NATSListen    string `default:"127.0.0.1:4222" help:"Where NATS clients may connect, or off."`
	StoreMaxBytes int64  `help:"Bytes that streams may take in all (default: half of what was free at the first start)."`
	OpsListen     string `default:"127.0.0.1:8081" help:"Where operators find /metrics, /healthz, /readyz and /debug/pprof."`
	Demo          bool   `help:"Play the provider too, at a gentle rate (default: no)."`
	Front
	Work
	Polling
}

// Run runs everything in one process until ctx ends.
func (c *Standalone) Run(ctx context.Context, env Env) error {
	p, err := newProcess(ctx, env, "standalone")
	if err != nil {
		return err
	}
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	server, err := c.startServer(p)
	if err != nil {
		return err
	}
	defer server.Stop()
	b, err := broker.Connect(broker.Options{Logger: p.logger, Name: "fanfare standalone", InProcess: server, Tracer: p.tracing.Tracer()})
	if err != nil {
		return err
	}
	defer b.Close()
	plan := broker.Plan{Types: contracts.Types(), StoreMaxBytes: server.StoreMaxBytes()}
	if err := provision(ctx, p.logger, b, plan); err != nil {
		return err
	}
	p.registry.MustRegister(b.Collector(contracts.Types()))
	front, err := c.bind(p, contracts, b, env.Reload)
	if err != nil {
		return err
	}
	p.add(front)
	if c.Demo {
		if err := c.addDemo(p, contracts, b, front.Addr().String(), env.Out); err != nil {
			return err
		}
	}
	stop, err := c.addConsumers(ctx, p, contracts, b)
	if err != nil {
		return err
	}
	defer stop()
	if c.ProviderKeyFile != "" {
		if err := c.Polling.add(p, contracts, b, c.EgressAllow); err != nil {
			return err
		}
	}
	if err := p.bindOps(c.OpsListen); err != nil {
		return err
	}
	if err := c.welcome(env, contracts, front, p.ops, server); err != nil {
		return err
	}
	return p.run(ctx)
}

func (c *Standalone) startServer(p *process) (*natsd.Server, error) {
	listen := c.NATSListen
	switch {
	case listen == "off":
		listen = ""
	case !c.AllowUnauthenticated && !gateway.Loopback(listen):
		return nil, fmt.Errorf("--nats-listen %s is reachable from elsewhere and nothing authenticates NATS clients: listen on 127.0.0.1, or give --allow-unauthenticated", listen)
	}
	return natsd.Start(natsd.Options{
		Logger:        p.logger,
		Dir:           c.DataDir,
		Listen:        listen,
		MaxPayload:    broker.MaxPayload,
		StoreMaxBytes: c.StoreMaxBytes,
	})
}

// addConsumers adds every consumer, and returns what is to be done after they
// have run.
func (c *Standalone) addConsumers(ctx context.Context, p *process, contracts callback.Contracts, b *broker.Broker) (stop func(), err error) {
	archive, err := c.openArchive(ctx, p, c.DataDir)
	if err != nil {
		return nil, err
	}
	closers := []io.Closer{archive}
	stop = func() {
		for i := range closers {
			_ = closers[len(closers)-1-i].Close()
		}
	}
	for _, spec := range consumers.All() {
		closer, err := c.Work.add(p, spec, contracts, b, archive)
		if err != nil {
			stop()
			return nil, err
		}
		closers = append(closers, closer)
	}
	return stop, nil
}

// welcome tells a newcomer where everything is and what to try next.
func (c *Standalone) welcome(env Env, contracts callback.Contracts, front *gateway.Gateway, operations *ops.Server, server *natsd.Server) error {
	types := make([]string, 0, len(contracts))
	for _, t := range contracts.Types() {
		types = append(types, string(t))
	}
	nats, follow := "off (--nats-listen)", "--nats-listen off: nothing can be followed"
	if addr := server.Addr(); addr != nil {
		nats, follow = "nats://"+addr.String(), followHint(env.Name, addr.String())
	}
	archive, err := c.archiveURL(c.DataDir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Out, `fanfare is ready
  callbacks   POST http://%[1]s/callbacks/{%[2]s}
  operations  http://%[3]s/metrics  http://%[3]s/readyz
  subscribe   %[4]s
  archive     %[5]s

Try next, in another terminal:
%[6]s

`, front.Addr(), strings.Join(types, ","), operations.Addr(), nats, archive, follow)
	if err != nil {
		return fmt.Errorf("write welcome: %w", err)
	}
	return nil
}

// followHint says what follows the stream at addr.
func followHint(name, addr string) string {
	flag := ""
	if addr != "127.0.0.1:4222" {
		flag = " --nats-url nats://" + addr
	}
	return fmt.Sprintf(`  %[1]s tail%[2]s           callbacks as they arrive
  %[1]s tail results%[2]s   what becomes of each task
  %[1]s --help         everything else`, name, flag)
}
