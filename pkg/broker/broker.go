// Package broker holds every JetStream name and every JetStream call of fanfare.
//
// A callback that [Broker.Publish] returned without an error is on the stream,
// written by the server as durably as the server is set to. Publishing is
// deduplicated by message ID and is retried under that ID until the context
// ends; nothing is ever buffered in the client. No other package names a stream,
// a subject or a header.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"
)

// ErrUnavailable reports that the server could not be reached, or did not
// confirm in time.
var ErrUnavailable = errors.New("broker: unavailable")

// Options says how to reach the server. Logger and either URL or InProcess are
// required.
type Options struct {
	Logger    *slog.Logger
	Name      string                     // connection name that the server's operators see
	URL       string                     // nats:// or tls:// addresses, comma-separated
	InProcess nats.InProcessConnProvider // a server in this process, instead of URL
	Wait      bool                       // keep trying in the background when the server cannot be reached at first
	CredsFile string                     // NATS credentials
	NKeyFile  string                     // NATS nkey seed
	CAFile    string                     // PEM file of the certificate authorities to trust
	Tracer    trace.Tracer               // makes spans of publishing and handling; nil: nothing does
}

// Broker is one connection to a server with JetStream.
type Broker struct {
	logger *slog.Logger
	conn   *nats.Conn
	js     jetstream.JetStream
	tracer trace.Tracer // nil: nothing is traced
}

const (
	reconnectWait = time.Second
	pingInterval  = 10 * time.Second // with two pings outstanding, a dead peer is noticed in 30 s
	requestWait   = 5 * time.Second  // for JetStream API calls without a deadline of their own
)

// Connect connects to the server and checks that its max_payload is enough.
// With Wait it returns at once and connects when it can.
func Connect(o Options) (*Broker, error) {
	if _, err := servers(o.URL); err != nil && o.InProcess == nil {
		return nil, err
	}
	b := &Broker{logger: o.Logger, tracer: o.Tracer}
	options, err := b.options(o)
	if err != nil {
		return nil, err
	}
	if b.conn, err = nats.Connect(o.URL, options...); err != nil {
		return nil, fmt.Errorf("broker: connect to %s: %w", address(o), err)
	}
	if !b.conn.IsConnected() {
		b.logger.Warn("broker not reachable yet", "url", address(o))
	}
	if !o.Wait {
		if err := checkPayload(b.conn); err != nil {
			b.conn.Close()
			return nil, err
		}
	}
	if b.js, err = jetstream.New(b.conn, jetstream.WithDefaultTimeout(requestWait)); err != nil {
		b.conn.Close()
		return nil, fmt.Errorf("broker: open JetStream: %w", err)
	}
	return b, nil
}

func (b *Broker) options(o Options) ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(-1), // a publish while disconnected fails at once instead of being buffered
		nats.PingInterval(pingInterval),
		nats.RetryOnFailedConnect(o.Wait),
		nats.IgnoreAuthErrorAbort(), // credentials may be put right while we wait
		nats.ConnectHandler(b.connected(o)),
		nats.ReconnectHandler(b.connected(o)),
		nats.ReconnectErrHandler(b.unreachable()),
		nats.DisconnectErrHandler(func(c *nats.Conn, err error) {
			if !c.IsClosed() {
				b.logger.Warn("broker disconnected", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.logger.Warn("broker reports an error", "error", err)
		}),
	}
	if o.InProcess != nil {
		options = append(options, nats.InProcessServer(o.InProcess))
	}
	if o.CredsFile != "" {
		options = append(options, nats.UserCredentials(o.CredsFile))
	}
	if o.NKeyFile != "" {
		nkey, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("broker: read nkey seed from %s: %w", o.NKeyFile, err)
		}
		options = append(options, nkey, ownInbox)
	}
	if o.CAFile != "" {
		options = append(options, nats.RootCAs(o.CAFile))
	}
	return options, nil
}

// ownInbox has answers come where only the owner of the nkey need be allowed to listen.
func ownInbox(o *nats.Options) error { o.InboxPrefix = "_INBOX." + o.Nkey; return nil }

func (b *Broker) connected(o Options) nats.ConnHandler {
	return func(c *nats.Conn) {
		b.logger.Info("broker connected", "url", address(o), "server", c.ConnectedServerName())
		if err := checkPayload(c); err != nil {
			b.logger.Error("broker cannot take every callback", "error", err)
		}
	}
}

// unreachable logs why connecting fails, once for each reason in a row.
func (b *Broker) unreachable() nats.ConnErrHandler {
	var last string // the client calls its handlers one at a time
	return func(_ *nats.Conn, err error) {
		if err != nil && err.Error() != last {
			last = err.Error()
			b.logger.Warn("broker not reachable", "error", err)
		}
	}
}

// errAddress says nothing of what was given, which may hold a password.
var errAddress = errors.New("broker: this is no address of a NATS server: want nats://host:4222, or nats://user:password@host:4222 with , : / @ in the password written as %2C %3A %2F %40; several are separated by commas")

// servers reads a list of addresses.
func servers(list string) ([]*url.URL, error) {
	var all []*url.URL
	for server := range strings.SplitSeq(list, ",") {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" || strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[") {
			return nil, errAddress
		}
		all = append(all, u)
	}
	return all, nil
}

// address says where the server is, without user names, passwords and tokens.
func address(o Options) string {
	if o.InProcess != nil {
		return "in process"
	}
	all, err := servers(o.URL)
	if err != nil {
		return "(unreadable)"
	}
	shown := make([]string, len(all))
	for i, u := range all {
		shown[i] = u.Scheme + "://" + u.Host
	}
	return strings.Join(shown, ",")
}

// checkPayload reports a server that would refuse a callback of full size.
func checkPayload(c *nats.Conn) error {
	if has := c.MaxPayload(); has < MaxPayload {
		return fmt.Errorf("broker: the NATS server takes messages of up to %d bytes, a callback needs %d: set max_payload: %d in its configuration",
			has, MaxPayload, MaxPayload)
	}
	return nil
}

// Close closes the connection.
func (b *Broker) Close() { b.conn.Close() }

// Connected reports whether the server is reachable right now.
func (b *Broker) Connected() bool { return b.conn.IsConnected() }

// Check reports why callbacks could not be stored right now, or nil.
func (b *Broker) Check(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return fmt.Errorf("%w: not connected", ErrUnavailable)
	}
	if err := checkPayload(b.conn); err != nil {
		return err
	}
	stream, err := b.js.Stream(ctx, StreamCallbacks)
	if err != nil {
		return fmt.Errorf("broker: look up stream %s: %w", StreamCallbacks, err)
	}
	if cluster := stream.CachedInfo().Cluster; cluster != nil && cluster.Leader == "" {
		return fmt.Errorf("%w: stream %s has no leader", ErrUnavailable, StreamCallbacks)
	}
	return nil
}

// Version returns the version of the server, or "" while there is none.
func (b *Broker) Version() string { return b.conn.ConnectedServerVersion() }
