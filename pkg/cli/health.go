package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// healthWait bounds the question, answer included.
const healthWait = 5 * time.Second

// maxHealthBytes bounds the answer.
const maxHealthBytes = 64 << 10

// Health is the command health.
type Health struct {
	OpsListen string `default:"127.0.0.1:8081" help:"Operations listener of the process to ask."`
}

// Run asks a process whether it is ready, prints its answer, and fails if it is
// not.
func (c *Health) Run(ctx context.Context, env Env) error {
	ctx, cancel := context.WithTimeout(ctx, healthWait)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+nearby(c.OpsListen)+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.OpsListen, err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy from the environment, for which loopback is another machine
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.OpsListen, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(env.Out, io.LimitReader(answer.Body, maxHealthBytes)); err != nil {
		return fmt.Errorf("ask %s: %w", c.OpsListen, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready: status %d", c.OpsListen, answer.StatusCode)
	}
	return nil
}

// nearby returns where a listener is asked on its own machine: one on all addresses, by loopback.
func nearby(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
