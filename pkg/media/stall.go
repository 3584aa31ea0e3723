package media

import (
	"context"
	"net"
	"time"
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// stalling returns a dial whose connections fail once nothing has moved on them
// for the given time, in either direction.
func stalling(dial dialFunc, wait time.Duration) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &stallConn{Conn: conn, wait: wait}, nil
	}
}

type stallConn struct {
	net.Conn
	wait time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write puts off the read's deadline too: an answer is waited for from the end of
// the request on.
func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
