package cli

import (
	"context"
	"fmt"
	"log/slog"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// Provision is the command provision.
type Provision struct {
	Replicas      int    `default:"1" help:"Copies of each stream that a cluster keeps: 1, 3 or 5."`
	StoreMaxBytes int64  `default:"8589934592" help:"Bytes that the streams may take in all."`
	DevSecrets    string `placeholder:"DIR" type:"path" help:"Write the secrets of a development set-up with deploy/nats/secure.conf into this directory, as far as they are missing, and end: the server that is to be provisioned starts with them (default: none)."`
	NATS
}

// Run provisions and reports, or writes secrets.
func (c *Provision) Run(ctx context.Context, env Env) error {
	logger := env.newToolLogger("provision")
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	if c.DevSecrets != "" {
		if err := writeDevSecrets(c.DevSecrets, contracts.Types()); err != nil {
			return err
		}
		return write(env.Out, "the secrets are in "+c.DevSecrets)
	}
	b, err := c.connect(logger, "provision")
	if err != nil {
		return err
	}
	defer b.Close()
	plan := broker.Plan{Types: contracts.Types(), Replicas: c.Replicas, StoreMaxBytes: c.StoreMaxBytes}
	if err := provision(ctx, logger, b, plan); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(env.Out, "provisioned"); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// provision creates what is missing and reports what differs.
func provision(ctx context.Context, logger *slog.Logger, b *broker.Broker, plan broker.Plan) error {
	drifts, err := b.Provision(ctx, plan)
	if err != nil {
		return err
	}
	for _, drift := range drifts {
		logger.Warn("left as it is, though fanfare would set it otherwise",
			"object", drift.Object, "setting", drift.Setting, "is", drift.Is, "want", drift.Want)
	}
	return nil
}
