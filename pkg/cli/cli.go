// Package cli holds fanfare's commands, one file each: the flags of a command,
// and the wiring of what it runs. main lists them.
//
// A command's Run returns when its work is done or its context ends; it neither
// exits nor sees signals. Output for people and programs goes to Env.Out, logs
// to Env.Err.
package cli

import (
	"io"
	"log/slog"
	"os"

	"fanfare/pkg/broker"
	"fanfare/pkg/ops"
)

// Env is what a command gets from main.
type Env struct {
	Out      io.Writer
	Err      io.Writer
	LogLevel slog.Level
	Version  string
	Name     string           // how the user calls the program
	Reload   <-chan os.Signal // says when secrets and certificates are to be read again
}

// newLogger returns the logger of a process with the given role.
func (e Env) newLogger(role string) *slog.Logger {
	return ops.NewLogger(e.Err, e.LogLevel, role)
}

// newToolLogger returns the logger of a command that somebody types and watches:
// by default it says nothing unless something is wrong.
func (e Env) newToolLogger(role string) *slog.Logger {
	level := e.LogLevel
	if level == slog.LevelInfo {
		level = slog.LevelWarn
	}
	return ops.NewLogger(e.Err, level, role)
}

// NATS holds the flags of commands that connect to a server.
type NATS struct {
	NATSURL      string `name:"nats-url" default:"nats://127.0.0.1:4222" help:"NATS server, or several with commas."`
	NATSCreds    string `placeholder:"FILE" help:"NATS credentials file (default: none)."`
	NATSNkeyFile string `placeholder:"FILE" help:"File with a NATS nkey seed (default: none)."`
	NATSCAFile   string `name:"nats-ca-file" placeholder:"FILE" help:"PEM file of the certificate authorities to trust (default: the system's)."`
}

// connect connects to the server.
func (n NATS) connect(logger *slog.Logger, name string) (*broker.Broker, error) {
	return broker.Connect(n.options(logger, name))
}

// connect connects a process to the server. It goes on trying in the background.
func (p *process) connect(n NATS, name string) (*broker.Broker, error) {
	o := n.options(p.logger, name)
	o.Wait, o.Tracer = true, p.tracing.Tracer()
	return broker.Connect(o)
}

func (n NATS) options(logger *slog.Logger, name string) broker.Options {
	return broker.Options{
		Logger:    logger,
		Name:      "fanfare " + name,
		URL:       n.NATSURL,
		CredsFile: n.NATSCreds,
		NKeyFile:  n.NATSNkeyFile,
		CAFile:    n.NATSCAFile,
	}
}
