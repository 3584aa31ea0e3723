// Package provider asks the provider what became of a task, for a callback can be
// lost for good.
//
// [Client.Details] turns the answer of a details endpoint into one of a closed set
// of outcomes and, where the task has got somewhere, into the callback that the
// provider should have sent: encoded, decoded and validated as if the gateway had
// received it, so that both have the same message ID. It believes no more than
// that: an answer of another task, a success without its result and a word that
// nobody knows never become a callback. It asks once and never retries, follows no
// redirect, and shows the key to nobody but the base URL's host.
package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/media"
)

// ErrNotPolled reports a type whose schema names no details endpoint.
var ErrNotPolled = errors.New("provider: tasks of this type cannot be asked for")

// Options configures a Client. BaseURL and Key are required; the zero value of
// every other field selects the default written beside it.
type Options struct {
	BaseURL        string        // https://api.kie.ai, https://api.sunoapi.org; http only with EgressAllow, for a simulator
	Key            func() string // the API key, a secret, asked for before each request so that it can be rotated
	EgressAllow    []string      // none: special-purpose addresses to open, each an IP, IP:port or CIDR
	UserAgent      string        // "fanfare"
	ConnectTimeout time.Duration // 5s: for name and TCP together, and again for TLS
	Timeout        time.Duration // 15s: for the whole exchange
}

// Client asks one provider. It is safe for concurrent use and keeps nothing
// between requests.
type Client struct {
	base      *url.URL
	key       func() string
	userAgent string
	timeout   time.Duration
	transport http.RoundTripper
	verdicts  verdicts
}

// New validates the options. It opens no connection.
func New(options Options) (*Client, error) {
	base, err := options.validate()
	if err != nil {
		return nil, fmt.Errorf("provider options: %w", err)
	}
	timeout := cmp.Or(options.Timeout, 15*time.Second)
	transport, err := media.NewTransport(media.TransportOptions{
		EgressAllow:    options.EgressAllow,
		ConnectTimeout: cmp.Or(options.ConnectTimeout, 5*time.Second),
		HeaderTimeout:  timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("provider options: %w", err)
	}
	return &Client{
		base:      base,
		key:       options.Key,
		userAgent: cmp.Or(options.UserAgent, "fanfare"),
		timeout:   timeout,
		transport: transport,
		verdicts:  verdictsOf(base.Hostname()),
	}, nil
}

// validate names what is missing or wrong, and returns the base URL.
func (o Options) validate() (*url.URL, error) {
	switch {
	case o.BaseURL == "":
		return nil, errors.New("missing BaseURL")
	case o.Key == nil:
		return nil, errors.New("missing Key")
	case !printable(o.UserAgent):
		return nil, errors.New("UserAgent is not printable ASCII")
	case o.ConnectTimeout < 0 || o.Timeout < 0:
		return nil, errors.New("ConnectTimeout or Timeout is negative")
	}
	base, err := parseBase(o.BaseURL)
	if err == nil && base.Scheme == "http" && (len(o.EgressAllow) == 0 || known(base.Hostname())) {
		return nil, errors.New("BaseURL is http: the key would be sent in the clear")
	}
	return base, err
}

// parseBase reads a base URL. Its errors hold nothing of it, for somebody may have
// put a secret there.
func parseBase(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	switch {
	case err != nil || base.Opaque != "" || base.Hostname() == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("BaseURL is no absolute http or https URL")
	case base.User != nil || base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		return nil, errors.New("BaseURL has more than a scheme, a host and a path")
	}
	base.Path, base.RawPath = strings.TrimRight(base.Path, "/"), ""
	return base, nil
}

// Host names the provider as the base URL does, in lower case and with the port if
// that has one.
func (c *Client) Host() string { return strings.ToLower(c.base.Host) }

// Details asks for the task: GET <base URL><the type's path>?taskId=<id>.
//
// Whatever comes of it, no answer included, is an [Answer]. An error means that
// nothing was asked, or that ctx ended first: [ErrNotPolled], a
// [*callback.Invalid] for what is no task ID, or ctx's own.
func (c *Client) Details(ctx context.Context, contract *callback.Contract, id callback.TaskID) (Answer, error) {
	details, ok := contract.Details()
	if !ok {
		return Answer{}, fmt.Errorf("details of %s: %w", contract.Type, ErrNotPolled)
	}
	if _, err := callback.ParseTaskID(string(id)); err != nil {
		return Answer{}, fmt.Errorf("details of %s: %w", contract.Type, err)
	}
	r := c.ask(ctx, details.Path, id)
	if err := ctx.Err(); err != nil {
		return Answer{}, fmt.Errorf("details of %s %s: %w", contract.Type, id, err)
	}
	return question{contract, details, id, c.verdicts}.judge(r), nil
}
