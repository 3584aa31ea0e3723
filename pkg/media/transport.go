package media

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"
)

// maxHeaderBytes bounds the header of an answer.
const maxHeaderBytes = 32 << 10

// TransportOptions configures a transport to hosts that are not trusted. No field
// is required; the zero value selects the default written beside it.
type TransportOptions struct {
	EgressAllow    []string      // none: special-purpose addresses to open, each an IP, IP:port or CIDR
	ConnectTimeout time.Duration // 5s: for name and TCP together, and again for TLS
	HeaderTimeout  time.Duration // 15s: from the request to the end of the answer's header
}

// NewTransport returns a transport that checks every address when it is dialled,
// heeds no proxy, decompresses nothing and takes a connection for each request.
// Called past http.Client it follows no redirect. [Classify] says why a request
// failed.
func NewTransport(options TransportOptions) (*http.Transport, error) {
	transport, _, err := newTransport(options, &net.Resolver{PreferGo: true})
	return transport, err
}

func newTransport(options TransportOptions, resolver *net.Resolver) (*http.Transport, *dialer, error) {
	if options.ConnectTimeout < 0 || options.HeaderTimeout < 0 {
		return nil, nil, errors.New("ConnectTimeout or HeaderTimeout is negative")
	}
	egress, err := newEgress(options.EgressAllow)
	if err != nil {
		return nil, nil, err
	}
	dial := &dialer{
		tcp: net.Dialer{Timeout: cmp.Or(options.ConnectTimeout, 5*time.Second), Resolver: resolver, Control: egress.control},
		tls: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	return &http.Transport{
		Proxy:                  nil, // a proxy would dial for us, past the egress check
		DialContext:            dial.tcp.DialContext,
		DialTLSContext:         dial.dialTLS,
		DisableCompression:     true,
		ResponseHeaderTimeout:  cmp.Or(options.HeaderTimeout, 15*time.Second),
		MaxResponseHeaderBytes: maxHeaderBytes,
		// What a host sends beyond its answer would be logged by net/http, and
		// may be the URL's query.
		DisableKeepAlives: true,
	}, dial, nil
}
