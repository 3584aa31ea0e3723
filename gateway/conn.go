package gateway

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

const (
	maxConns      = 4096 // open at the same time, and no more than half of the files that the process may open
	maxLingering  = 64   // refused, and given the time to read it
	lingerWait    = 500 * time.Millisecond
	keptHeadBytes = 4 << 10 // of a head's buffer, for the next request on the connection
)

// busy is what a connection beyond maxConns is told.
const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 52\r\nRetry-After: 5\r\nConnection: close\r\n\r\n" +
	`{"code":503,"msg":"too many connections: try again"}`

// listener hands out connections that know their request's head, a bounded
// number at a time.
type listener struct {
	net.Listener
	limit     int64
	open      *atomic.Int64
	refused   prometheus.Counter
	lingering chan struct{} // has room for the refused connections that may be waited for
}

// connLimit leaves enough files for the rest of the process: one that runs out of
// them could not even tell anybody.
func connLimit() int64 {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return maxConns
	}
	return int64(min(maxConns, files.Cur/2))
}

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // net/http looks at what kind of error it is
		}
		if l.open.Add(1) <= l.limit {
			return &conn{Conn: c, open: l.open}, nil
		}
		l.open.Add(-1)
		l.refuse(c)
	}
}

// refuse tells a connection beyond the limit to come again.
func (l listener) refuse(c net.Conn) {
	l.refused.Inc()
	tcp, ok := c.(*net.TCPConn)
	if !ok || c.SetDeadline(time.Now().Add(lingerWait)) != nil {
		_ = c.Close() // of TLS there is nobody yet who could read it
		return
	}
	_, _ = io.WriteString(c, busy) // fits into an empty socket buffer, so nobody waits
	select {
	case l.lingering <- struct{}{}:
		go func() {
			// Closed with a request unread, the socket would take the answer back.
			_ = tcp.CloseWrite()
			_, _ = io.CopyN(io.Discard, c, maxHeaderBytes)
			_ = c.Close()
			<-l.lingering
		}()
	default:
		_ = c.Close()
	}
}

// conn notes when the first byte of a request arrived and what its head looked
// like: the sender's clock runs from there, and net/http tells nobody of either.
type conn struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
	began  atomic.Int64 // Unix nanoseconds; 0 between requests

	mu    sync.Mutex // net/http reads ahead while a handler runs
	head  []byte     // as far as it has been read
	ended bool       // whether head is whole
	ahead []byte     // the one byte of the next request that net/http reads while a handler runs
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case n > 0 && !c.ended:
		c.note(p[:n])
	case n > 0 && len(p) == 1:
		c.ahead = append(c.ahead, p[0])
	}
	return n, err //nolint:wrapcheck // net/http looks at what kind of error it is
}

// SetReadDeadline keeps a head that has begun to its own deadline: net/http gives
// the first bytes after an idle time as long as that may be.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if began := c.began.Load(); began != 0 && !c.ended {
		if limit := time.Unix(0, began).Add(headerWait); t.IsZero() || t.After(limit) {
			t = limit
		}
	}
	return c.Conn.SetReadDeadline(t) //nolint:wrapcheck // net/http looks at what kind of error it is
}

// note collects the head of a request, which net/http bounds. Empty lines before
// it are none of it.
func (c *conn) note(p []byte) {
	if len(c.head) == 0 {
		if p = bytes.TrimLeft(p, "\r\n"); len(p) == 0 {
			return
		}
		now := time.Now()
		c.began.Store(now.UnixNano())
		_ = c.Conn.SetReadDeadline(now.Add(headerWait)) // where it cannot be set, the next read tells
	}
	from := max(0, len(c.head)-3)
	c.head = append(c.head, p...)
	for _, end := range []string{"\r\n\r\n", "\n\n", "\n\r\n"} {
		if i := bytes.Index(c.head[from:], []byte(end)); i >= 0 {
			c.head, c.ended = c.head[:from+i+len(end)], true
			return
		}
	}
}

// CloseWrite lets net/http end an answer before it closes the connection.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // net/http looks at what kind of error it is
	}
	return nil
}

// next forgets the request that is over.
func (c *conn) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began.Store(0)
	c.ended = false
	if c.head = c.head[:0]; cap(c.head) > keptHeadBytes {
		c.head = nil
	}
	if len(c.ahead) > 0 {
		c.note(c.ahead)
		c.ahead = c.ahead[:0]
	}
}

func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close() //nolint:wrapcheck // net/http looks at what kind of error it is
}

// connState is net/http's hook; a connection is idle once a request is over.
func connState(c net.Conn, state http.ConnState) {
	if own, ok := c.(*conn); ok && state == http.StateIdle {
		own.next()
	}
}

// ambiguous reports whether the head says more than once how long the body is:
// two readers of such a request may see different ones, and net/http only tells
// what it made of it. A head whose beginning came together with the request before
// was not seen, so a chunked body under it is taken for ambiguous.
func (c *conn) ambiguous(chunked bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, _, _ := bytes.Cut(c.head, []byte("\n"))
	if !c.ended || !bytes.HasSuffix(bytes.TrimRight(first, "\r"), []byte(" HTTP/1.1")) {
		return chunked
	}
	said := 0
	for line := range bytes.Lines(c.head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			said++
		}
	}
	return said > 1
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
