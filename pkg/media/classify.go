package media

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter bounds how long a host can ask to wait.
const maxRetryAfter = time.Hour

// statusExpired is not a registered status: one of the provider's media hosts
// answers it once a link has expired.
const statusExpired = 441

func (a *attempt) fail(reason Reason, detail string) *FetchError {
	if a.at != "" && a.at != a.source {
		detail = "at " + a.at + ": " + detail
	}
	return &FetchError{URL: a.source, Reason: reason, detail: detail}
}

func (a *attempt) failStatus(resp *http.Response) *FetchError {
	reason := ReasonHTTPStatus
	switch resp.StatusCode {
	case http.StatusNotFound:
		reason = ReasonNotFound
	case http.StatusGone:
		reason = ReasonGone
	case statusExpired:
		reason = ReasonExpired
	}
	failure := a.fail(reason, "")
	failure.Status = resp.StatusCode
	failure.RetryAfter = RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	return failure
}

// RetryAfter reads a Retry-After header, which is in seconds or a date: at most
// 1 h, and 0 where nothing can be read.
func RetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, date.Sub(now)), maxRetryAfter)
	}
	return 0
}

// Classify names the reason of a failed request or read. It passes on the text
// of errors that arise before the request is sent, and not of later ones, since
// a host could make those repeat the URL's query.
func Classify(ctx context.Context, err error) (Reason, string) {
	var (
		refused *refusedError
		lookup  *net.DNSError
		session *sessionError
		op      *net.OpError
		timeout net.Error
	)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTooSlow):
		return ReasonTooSlow, ""
	case errors.Is(cause, errTotalTimeout):
		return ReasonTimeout, errTotalTimeout.Error()
	}
	switch {
	case errors.As(err, &refused):
		return ReasonRefusedAddress, refused.Error()
	case errors.As(err, &lookup):
		return ReasonDNS, clip(lookup.Error())
	case errors.As(err, &session):
		return ReasonTLS, clip(session.Error())
	case errors.As(err, &op) && op.Op == "dial":
		return ReasonConnect, clip(op.Error())
	case errors.As(err, &timeout) && timeout.Timeout():
		return ReasonTimeout, "no answer in time"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonTruncated, ""
	default:
		return ReasonReset, ""
	}
}
