// Package gateway is the HTTP front: it turns each callback of the provider into
// a message and answers 200 only once that message is stored.
//
// It routes every type that has a contract and knows nothing else of types. It
// never redirects, never waits for a consumer, and never stores a request that
// it did not read whole. No text of Go's or of the broker's reaches a client.
package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"

	"fanfare/pkg/broker"
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

// store keeps callbacks; it is implemented by [broker.Broker]. Both methods
// return an error if what they did is not confirmed by the end of ctx.
type store interface {
	Publish(ctx context.Context, cb callback.Callback) (broker.Published, error)
	Quarantine(ctx context.Context, r broker.Quarantined) error
}

// Options configures a Gateway. Logger, Registerer, Contracts and Store are
// required; the zero value of every other field selects the default written
// beside it. Every mechanism that is configured must pass: HMAC, URL token,
// address.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Contracts  callback.Contracts
	Store      store
	Tracer     trace.Tracer // nil: nothing is traced
	Listen     string       // 127.0.0.1:8080

	HMACKeyFiles   []string         // no signatures are asked for: files with one key each, all of which count
	HMACTolerance  time.Duration    // 5m: how far a signature's timestamp may be from now
	URLTokenFiles  []string         // no tokens are asked for: files with one token each, all of which count
	AllowFrom      []string         // every address: CIDRs of peers that may call
	TrustedProxies []string         // none: CIDRs of proxies whose X-Forwarded-For counts
	TLSCertFile    string           // no TLS: PEM file with the certificate chain
	TLSKeyFile     string           // no TLS: PEM file with its key
	Reload         <-chan os.Signal // files are looked at every 300 ms: and at once when this says so
	MaxInFlight    int              // 512: callbacks being stored at the same time

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
	case o.Store == nil:
		return errors.New("gateway: Store is missing")
	case (o.TLSCertFile == "") != (o.TLSKeyFile == ""):
		return errors.New("gateway: TLS needs both --tls-cert-file and --tls-key-file")
	case o.HMACTolerance < 0 || o.MaxInFlight < 0:
		return errors.New("gateway: --hmac-tolerance and --max-in-flight cannot be negative")
	}
	o.Listen = cmp.Or(o.Listen, "127.0.0.1:8080")
	o.HMACTolerance = cmp.Or(o.HMACTolerance, 5*time.Minute)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 512)
	authenticated := len(o.HMACKeyFiles)+len(o.URLTokenFiles)+len(o.AllowFrom) > 0
	if !authenticated && !o.AllowUnauthenticated && !Loopback(o.Listen) {
		return fmt.Errorf("gateway: %s is reachable from elsewhere and nothing authenticates the provider: configure --hmac-key-file, --url-token-file or --allow-from, listen on 127.0.0.1, or give --allow-unauthenticated", o.Listen)
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
	logger   *slog.Logger
	store    store
	metrics  *metrics
	tracer   trace.Tracer // nil: nothing is traced
	listener net.Listener
	maxConns int64
	server   *http.Server
	bodies   bodies
	slots    *semaphore.Weighted // callbacks being stored
	decoders *semaphore.Weighted // callbacks being decoded, each of which may take many times its size
	now      func() time.Time

	keys           *reloaded[[][]byte] // HMAC keys; nil: no signatures are asked for
	tolerance      time.Duration
	tokens         *reloaded[[][]byte] // URL tokens; nil: none are asked for
	allowFrom      networks
	trustedProxies networks
	certificate    *reloaded[*tls.Certificate] // nil: no TLS
	reload         <-chan os.Signal
}

// New validates the options, reads the files they name, and binds the listener.
// Run starts serving.
func New(o Options) (*Gateway, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		logger:    o.Logger,
		store:     o.Store,
		metrics:   newMetrics(o.Registerer, o.Contracts),
		tracer:    o.Tracer,
		bodies:    newBodies(maxBodiesBytes),
		slots:     semaphore.NewWeighted(int64(o.MaxInFlight)),
		decoders:  semaphore.NewWeighted(int64(2 * runtime.GOMAXPROCS(0))),
		now:       time.Now,
		tolerance: o.HMACTolerance,
		reload:    o.Reload,
	}
	if err := g.authenticate(o); err != nil {
		return nil, err
	}
	bound, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("gateway: listen on %s: %w", o.Listen, err)
	}
	g.listener, g.maxConns = bound, connLimit()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	g.server = &http.Server{
		Handler:                      router(o.Contracts, g.tokens != nil, g.receiver, g.unknown),
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

// authenticate sets up every mechanism that is configured.
func (g *Gateway) authenticate(o Options) (err error) {
	if len(o.HMACKeyFiles) > 0 {
		if g.keys, err = reload(g.logger, "HMAC keys", o.HMACKeyFiles, secrets(g.logger, "HMAC keys", o.HMACKeyFiles)); err != nil {
			return err
		}
	}
	if len(o.URLTokenFiles) > 0 {
		if g.tokens, err = reload(g.logger, "URL tokens", o.URLTokenFiles, tokens(g.logger, o.URLTokenFiles)); err != nil {
			return err
		}
	}
	if o.TLSCertFile != "" {
		if g.certificate, err = reload(g.logger, "TLS certificate", []string{o.TLSCertFile, o.TLSKeyFile}, certificate); err != nil {
			return err
		}
		exposeExpiry(o.Registerer, g.certificate)
	}
	if g.allowFrom, err = parseNetworks("--allow-from", o.AllowFrom); err != nil {
		return err
	}
	g.trustedProxies, err = parseNetworks("--trusted-proxy", o.TrustedProxies)
	return err
}

// Addr is where the gateway listens.
func (g *Gateway) Addr() net.Addr { return g.listener.Addr() }

// Run serves until ctx ends, then finishes the requests under way; a client that
// does not get on with its own is cut off.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	g.watchFiles(ctx, &watching)

	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWait)
		defer cancel()
		if g.server.Shutdown(drain) != nil {
			_ = g.server.Close()
		}
	})
	if err := g.server.Serve(g.connections()); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("gateway: serve: %w", err)
	}
	<-stopped // Serve returns as soon as the listener is closed
	return nil
}

// connections is the listener as the server sees it.
func (g *Gateway) connections() net.Listener {
	l := listener{
		Listener: g.listener, limit: g.maxConns, open: new(atomic.Int64), refused: g.metrics.refused, lingering: make(chan struct{}, maxLingering),
	}
	if g.certificate != nil {
		l.Listener = tls.NewListener(g.listener, tlsConfig(g.certificate))
	}
	return l
}
