// Command fanfare receives the Suno API's task callbacks, makes each one durable
// in NATS JetStream, archives the media and records one result per task.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"fanfare/pkg/cli"
)

// version is stamped by the linker: -ldflags "-X main.version=v1.2.3".
var version = "dev"

// commands is the command line.
type commands struct {
	Standalone cli.Standalone `cmd:"" help:"Run broker, gateway and all consumers in one process."`
	Gateway    cli.Gateway    `cmd:"" help:"Run the gateway alone, against a NATS server."`
	Consumer   cli.Consumer   `cmd:"" help:"Run the consumer of one type, against a NATS server; as many copies as needed."`
	Reconciler cli.Reconciler `cmd:"" help:"Ask the provider about tasks whose callback does not come, against a NATS server; several share the work."`
	Provision  cli.Provision  `cmd:"" help:"Create the streams, durables and bucket that are missing; report what differs."`
	Simulate   cli.Simulate   `cmd:"" help:"Play the provider against a gateway, and judge the results."`
	Tail       cli.Tail       `cmd:"" help:"Follow callbacks or results as they arrive, one line each."`
	Quarantine cli.Quarantine `cmd:"" help:"List, show, replay or delete requests that are authentic and could not be used."`
	DeadLetter cli.DeadLetter `cmd:"" help:"List, show, replay or delete callbacks that a consumer could not process."`
	Expect     cli.Expect     `cmd:"" help:"Announce a task that was submitted, so that its callback is expected."`
	Tasks      cli.Tasks      `cmd:"" help:"List or show tasks that are expected to call back."`
	Explain    cli.Explain    `cmd:"" help:"Tell all that is stored of a task, as one timeline."`
	Archive    cli.Archive    `cmd:"" help:"Verify the archived files."`
	URL        cli.URL        `cmd:"" name:"url" help:"Print a callback URL to give to the provider."`
	Health     cli.Health     `cmd:"" help:"Ask a running process whether it is ready."`
	Version    cli.Version    `cmd:"" help:"Print version, commit, Go and NATS versions."`

	LogLevel slog.Level `default:"info" help:"Least level to log: debug, info, warn or error."`
}

func parser(c *commands) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("fanfare"),
		kong.Description("The gateway between the Suno API's callbacks and your services."),
		kong.DefaultEnvars("FANFARE"),
		kong.UsageOnError(),
	)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "fanfare: %v\n", err)
		os.Exit(1)
	}
}

// run runs the command that the command line names.
func run() error {
	var c commands
	k, err := parser(&c)
	if err != nil {
		return err
	}
	line, err := k.Parse(os.Args[1:])
	k.FatalIfErrorf(err)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	line.BindTo(ctx, (*context.Context)(nil))
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	env := cli.Env{Out: os.Stdout, Err: os.Stderr, LogLevel: c.LogLevel, Version: version, Name: k.Model.Name, Reload: reload}
	if strings.Contains(os.Args[0], "go-build") {
		env.Name = "go run ."
	}
	return line.Run(env)
}
