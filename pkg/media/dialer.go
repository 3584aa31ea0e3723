package media

import (
	"context"
	"crypto/tls"
	"net"
)

// dialer opens connections, each to an address that egress has approved.
type dialer struct {
	tcp net.Dialer
	tls *tls.Config
}

// sessionError marks a failure of the TLS handshake, of which crypto/tls and
// net/http have many types and texts.
type sessionError struct{ err error }

func (e *sessionError) Error() string { return e.err.Error() }
func (e *sessionError) Unwrap() error { return e.err }

// dialTLS connects and completes the handshake, which has as long as the
// connection had.
func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.tcp.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := d.tls.Clone()
	config.ServerName, _, err = net.SplitHostPort(address)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.tcp.Timeout)
	defer cancel()
	session := tls.Client(conn, config)
	if err := session.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &sessionError{err: err}
	}
	return session, nil
}
