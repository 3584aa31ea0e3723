// Package gateway is the HTTP front: it turns each callback of the provider into
// a message and answers 200 only once that message is stored.
//
// It routes every type that has a contract and knows nothing else of types. It
// never redirects, never waits for a consumer, and never stores a request that
// it did not read whole. No text of Go's or of the broker's reaches a client.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/callback"
)

// Limits of one connection and one request. The provider waits 10 s for an
// answer (docs.sunoapi.org, replace-section callbacks).
const (
	maxBodyBytes   = 1 << 20
	maxHeaderBytes = 32 << 10
	headerWait     = 5 * time.Second
	bodyWait       = 8 * time.Second
	publishWait    = 8 * time.Second
	answerWait     = 9 * time.Second  // from the request's first byte to its answer
	writeWait      = 10 * time.Second // for a client that does not read its answer
	idleWait       = 60 * time.Second
	drainWait      = 10 * time.Second // at shutdown, for requests under way
)

// publisher stores callbacks; it is implemented by [broker.Broker].
type publisher interface {
	// Publish returns once the callback is stored, or an error if that is not
	// confirmed by the end of ctx.
	Publish(ctx context.Context, cb callback.Callback) (duplicate bool, err error)
}

// Options configures a Gateway. Logger, Registerer, Contracts and Publisher are
// required; the zero value of every other field selects the default written
// beside it.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Contracts  callback.Contracts
	Publisher  publisher
	Listen     string // 127.0.0.1:8080

	// AllowUnauthenticated permits a Listen address beyond loopback although
	// nothing shows that a request is the provider's; default false.
	AllowUnauthenticated bool
}

func (o *Options) validate() error {
	switch {
	case o.Logger == nil:
		return errors.New("gateway: Logger is missing")
	case o.Registerer == nil:
		return errors.New("gateway: Registerer is missing")
	case len(o.Contracts) == 0:
		return errors.New("gateway: Contracts is missing")
	case o.Publisher == nil:
		return errors.New("gateway: Publisher is missing")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8080"
	}
	if !o.AllowUnauthenticated && !Loopback(o.Listen) {
		return fmt.Errorf("gateway: %s is reachable from elsewhere and nothing authenticates the provider: listen on 127.0.0.1, or give --allow-unauthenticated", o.Listen)
	}
	return nil
}

// Loopback reports whether an address to listen on can be reached from this
// machine alone.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// Gateway is the HTTP front.
type Gateway struct {
	logger    *slog.Logger
	publisher publisher
	metrics   *metrics
	listener  net.Listener
	server    *http.Server
}

// New validates the options and binds the listener. Run starts serving.
func New(o Options) (*Gateway, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	bound, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("gateway: listen on %s: %w", o.Listen, err)
	}
	g := &Gateway{
		logger:    o.Logger,
		publisher: o.Publisher,
		metrics:   newMetrics(o.Registerer, o.Contracts),
		listener:  bound,
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	g.server = &http.Server{
		Handler:                      g.router(o.Contracts),
		ConnState:                    connState,
		ConnContext:                  connContext,
		ReadHeaderTimeout:            headerWait,
		WriteTimeout:                 writeWait,
		IdleTimeout:                  idleWait,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		Protocols:                    protocols,
		ErrorLog:                     slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return g, nil
}

// Addr is where the gateway listens.
func (g *Gateway) Addr() net.Addr { return g.listener.Addr() }

// Run serves until ctx ends, then finishes the requests under way; a client that
// does not get on with its own is cut off.
func (g *Gateway) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWait)
		defer cancel()
		if g.server.Shutdown(drain) != nil {
			_ = g.server.Close()
		}
	})
	if err := g.server.Serve(listener{g.listener}); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("gateway: serve: %w", err)
	}
	<-stopped // Serve returns as soon as the listener is closed
	return nil
}
