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

// connect connects to the server; with wait it goes on trying in the background.
func (n NATS) connect(logger *slog.Logger, name string, wait bool) (*broker.Broker, error) {
	return broker.Connect(broker.Options{
		Logger:    logger,
		Name:      "fanfare " + name,
		URL:       n.NATSURL,
		Wait:      wait,
		CredsFile: n.NATSCreds,
		NKeyFile:  n.NATSNkeyFile,
		CAFile:    n.NATSCAFile,
	})
}
