package cli

import (
	"context"
	"fmt"
	"runtime"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Version is the command version.
type Version struct{}

// Run prints what runs here.
func (*Version) Run(_ context.Context, env Env) error {
	return write(env.Out, fmt.Sprintf("fanfare %s, commit %s, %s, NATS server %s, NATS client %s",
		env.Version, commit(), runtime.Version(), server.VERSION, nats.Version))
}
