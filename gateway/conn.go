package gateway

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// listener hands out connections that know when a request began.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at what kind of error it is
	}
	return &conn{Conn: c}, nil
}

// conn notes when the first byte of a request arrived: the sender's clock runs
// from there, and net/http tells nobody.
type conn struct {
	net.Conn
	began atomic.Int64 // Unix nanoseconds; 0 between requests
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.began.CompareAndSwap(0, time.Now().UnixNano())
	}
	return n, err //nolint:wrapcheck // net/http looks at what kind of error it is
}

// connState is net/http's hook; a connection is idle once a request is over.
func connState(c net.Conn, state http.ConnState) {
	if own, ok := c.(*conn); ok && state == http.StateIdle {
		own.began.Store(0)
	}
}

type connKey struct{}

func connContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// began returns when the request's first byte arrived, or now if that was
// together with the request before it.
func began(r *http.Request) time.Time {
	if own, ok := r.Context().Value(connKey{}).(*conn); ok {
		if at := own.began.Load(); at != 0 {
			return time.Unix(0, at)
		}
	}
	return time.Now()
}

// abandon gives up the body of a request that is refused unread: what has not
// arrived is not waited for, and the connection ends with the answer.
func abandon(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // on a broken connection there is nothing to wait for
}
