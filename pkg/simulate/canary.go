package simulate

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
)

// canary listens where nobody may connect to, and counts who does. It sees only
// clients on its own machine: elsewhere its addresses are the client's own.
type canary struct {
	listener net.Listener
	touched  atomic.Int64
}

func newCanary() (*canary, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("simulate: listen as the canary: %w", err)
	}
	return &canary{listener: listener}, nil
}

// names returns spellings of the canary's address, none of which needs a
// resolver. All are special-purpose addresses.
func (c *canary) names() []string {
	_, port, err := net.SplitHostPort(c.listener.Addr().String())
	if err != nil {
		return []string{c.listener.Addr().String()}
	}
	return []string{
		net.JoinHostPort("127.0.0.1", port),
		net.JoinHostPort("0.0.0.0", port),
		net.JoinHostPort("::ffff:127.0.0.1", port),
	}
}

// watch blocks until stop is called.
func (c *canary) watch() error {
	for {
		conn, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("simulate: watch the canary: %w", err)
		}
		c.touched.Add(1)
		_ = conn.Close()
	}
}

func (c *canary) stop() { _ = c.listener.Close() }
