package media

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Reason says why a download failed. [Reasons] lists them all, so that a reason
// can be a metric's label.
type Reason string

// The reasons, those that [Reason.Permanent] reports first.
const (
	ReasonBadURL         Reason = "bad_url"         // not an absolute http or https URL of a host
	ReasonRefusedAddress Reason = "refused_address" // the host is at a special-purpose address, or not among the media hosts
	ReasonGone           Reason = "gone"            // 410
	ReasonExpired        Reason = "expired"         // 441, which a known media host answers for an expired link
	ReasonWrongType      Reason = "wrong_type"      // the content is encoded, or no media of the wanted kind
	ReasonTooLarge       Reason = "too_large"       // over the size limit

	ReasonDNS        Reason = "dns"         // the name did not resolve
	ReasonConnect    Reason = "connect"     // no TCP connection
	ReasonTLS        Reason = "tls"         // no TLS session
	ReasonTimeout    Reason = "timeout"     // no answer in time, or not complete in time
	ReasonTooSlow    Reason = "too_slow"    // below the least pace
	ReasonReset      Reason = "reset"       // the connection broke, or what came was not HTTP
	ReasonRedirect   Reason = "redirect"    // too many redirects, or one that may not be followed
	ReasonNotFound   Reason = "not_found"   // 404, which a CDN answers for a while to a link that is new
	ReasonHTTPStatus Reason = "http_status" // any other status but 200
	ReasonEmpty      Reason = "empty"       // 200 without content
	ReasonTruncated  Reason = "truncated"   // less content than announced
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{
		ReasonBadURL, ReasonRefusedAddress, ReasonGone, ReasonExpired, ReasonWrongType, ReasonTooLarge,
		ReasonDNS, ReasonConnect, ReasonTLS, ReasonTimeout, ReasonTooSlow, ReasonReset, ReasonRedirect,
		ReasonNotFound, ReasonHTTPStatus, ReasonEmpty, ReasonTruncated,
	}
}

// Permanent reports whether trying again is pointless. 401, 403 and 404 are not
// permanent, since media hosts are known to answer them for a while to links
// that are good; neither is a name that does not resolve.
func (r Reason) Permanent() bool {
	switch r {
	case ReasonBadURL, ReasonRefusedAddress, ReasonGone, ReasonExpired, ReasonWrongType, ReasonTooLarge:
		return true
	default:
		return false
	}
}

// FetchError reports that one URL did not give its file. Its text and its
// fields hold no query of any URL, for a signed URL is a secret.
type FetchError struct {
	URL        string // scheme, host and path
	Reason     Reason
	Status     int           // HTTP status, 0 when there was no answer
	RetryAfter time.Duration // what the host asks to wait, at most 1 h; 0 when it does not ask
	detail     string
}

// Error says which URL failed and why.
func (e *FetchError) Error() string {
	text := "fetch " + e.URL + ": " + string(e.Reason)
	if e.Status != 0 {
		text += fmt.Sprintf(": status %d", e.Status)
	}
	if e.detail != "" {
		text += ": " + e.detail
	}
	return text
}

// Permanent reports whether trying this URL again is pointless.
func (e *FetchError) Permanent() bool { return e.Reason.Permanent() }

// fetchErrors holds the failures of all URLs of an asset.
type fetchErrors []*FetchError

func (e fetchErrors) Error() string {
	texts := make([]string, len(e))
	for i, failure := range e {
		texts[i] = failure.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap puts the failures that may pass before the permanent ones, so that
// [errors.As] finds a permanent one only when there is nothing left to hope for.
func (e fetchErrors) Unwrap() []error {
	sorted := slices.Clone(e)
	slices.SortStableFunc(sorted, func(a, b *FetchError) int {
		switch {
		case a.Permanent() == b.Permanent():
			return 0
		case b.Permanent():
			return -1
		default:
			return 1
		}
	})
	errs := make([]error, len(sorted))
	for i, failure := range sorted {
		errs[i] = failure
	}
	return errs
}
