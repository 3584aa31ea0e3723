package media

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

const maxRedirects = 3

// FetcherOptions configures a Fetcher. No field is required; the zero value
// selects the default written beside it.
type FetcherOptions struct {
	EgressAllow       []string          // none: special-purpose addresses to open, each an IP, IP:port or CIDR
	Hosts             []string          // all: the only hosts to ask, redirects included, each a name, *.name for all below it, or an IP
	UserAgent         string            // "fanfare"
	ConnectTimeout    time.Duration     // 5s: for name and TCP together, and again for TLS
	HeaderTimeout     time.Duration     // 15s: from the request to the end of the answer's header
	TotalTimeout      time.Duration     // 15m: for one URL, redirects included
	SlowWindow        time.Duration     // 30s: of waiting for content, over which the pace is judged
	MinBytesPerSecond int64             // 16 KiB: the least pace
	MaxBytes          int64             // 1 GiB: the largest file
	OnFailure         func(*FetchError) // none: called once for every URL that fails, also when the next one works
}

// Fetcher downloads media over HTTP and HTTPS, each file over a connection of its
// own. It is safe for concurrent use, sends no cookies and heeds no proxy.
type Fetcher struct {
	options   FetcherOptions
	hosts     hostList
	dial      *dialer
	transport *http.Transport
}

// NewFetcher validates the options. It opens no connection.
func NewFetcher(options FetcherOptions) (*Fetcher, error) {
	return newFetcher(options, &net.Resolver{PreferGo: true})
}

func newFetcher(options FetcherOptions, resolver *net.Resolver) (*Fetcher, error) {
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("fetcher options: %w", err)
	}
	options = options.withDefaults()
	transport, dial, err := newTransport(TransportOptions{
		EgressAllow:    options.EgressAllow,
		ConnectTimeout: options.ConnectTimeout,
		HeaderTimeout:  options.HeaderTimeout,
	}, resolver)
	if err != nil {
		return nil, fmt.Errorf("fetcher options: %w", err)
	}
	hosts, err := newHostList(options.Hosts)
	if err != nil {
		return nil, fmt.Errorf("fetcher options: %w", err)
	}
	return &Fetcher{options: options, hosts: hosts, dial: dial, transport: transport}, nil
}

// Close releases what the Fetcher keeps between downloads. It stays usable.
func (f *Fetcher) Close() { f.transport.CloseIdleConnections() }

func (o FetcherOptions) validate() error {
	if strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("UserAgent is not printable ASCII")
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"ConnectTimeout", int64(o.ConnectTimeout)},
		{"HeaderTimeout", int64(o.HeaderTimeout)},
		{"TotalTimeout", int64(o.TotalTimeout)},
		{"SlowWindow", int64(o.SlowWindow)},
		{"MinBytesPerSecond", o.MinBytesPerSecond},
		{"MaxBytes", o.MaxBytes},
	} {
		if limit.value < 0 {
			return fmt.Errorf("%s is negative", limit.name)
		}
	}
	return nil
}

func (o FetcherOptions) withDefaults() FetcherOptions {
	if o.UserAgent == "" {
		o.UserAgent = "fanfare"
	}
	if o.OnFailure == nil {
		o.OnFailure = func(*FetchError) {}
	}
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 5*time.Second)
	o.HeaderTimeout = cmp.Or(o.HeaderTimeout, 15*time.Second)
	o.TotalTimeout = cmp.Or(o.TotalTimeout, 15*time.Minute)
	o.SlowWindow = cmp.Or(o.SlowWindow, 30*time.Second)
	o.MinBytesPerSecond = cmp.Or(o.MinBytesPerSecond, 16<<10)
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30)
	return o
}
