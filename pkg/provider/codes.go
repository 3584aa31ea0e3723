package provider

import (
	"net/http"
	"strings"
)

// Codes that HTTP has no name for, or another one.
const (
	codeSubKeyLimit = 433
	codeTooFrequent = 430
	codeMaintenance = 455
	codeFeatureOff  = http.StatusHTTPVersionNotSupported // 505
)

// verdicts says which outcome a code means, in the answer's code as in its HTTP
// status.
type verdicts map[int32]Outcome

// verdictsOf is the one table of codes. The same code means different things at
// kie.ai and sunoapi.org (their reference pages). A host that is neither is taken
// to mean by 405, 429 and 430 that it was asked too often: to wait is right also
// where it meant something else, and an account is not said to be empty that may
// not be.
func verdictsOf(host string) verdicts {
	v := verdicts{
		http.StatusUnauthorized:        Refused,
		http.StatusPaymentRequired:     NoCredits,
		http.StatusForbidden:           Refused,
		http.StatusNotFound:            Refused, // the path: a task that is not found is 422
		http.StatusMethodNotAllowed:    Throttled,
		http.StatusRequestTimeout:      Unavailable,
		http.StatusUnprocessableEntity: UnknownTask,
		http.StatusTooManyRequests:     Throttled,
		codeTooFrequent:                Throttled,
		codeSubKeyLimit:                NoCredits,
		codeMaintenance:                Unavailable,
		codeFeatureOff:                 Refused,
	}
	switch {
	case below(host, "kie.ai"):
		v[http.StatusMethodNotAllowed] = Refused // not used: it is HTTP's own
	case below(host, "sunoapi.org"):
		v[http.StatusTooManyRequests] = NoCredits
	}
	return v
}

// of returns the outcome of a code that means no success. A redirect is never
// followed, so the base URL has to be changed.
func (v verdicts) of(code int32) Outcome {
	if outcome, ok := v[code]; ok {
		return outcome
	}
	switch {
	case code >= 300 && code < 400:
		return Refused
	case code >= 500 && code < 600:
		return Unavailable
	default:
		return Unusable
	}
}

// known reports whether the host is one of the provider's.
func known(host string) bool { return below(host, "kie.ai") || below(host, "sunoapi.org") }

// below reports whether host is domain or below it.
func below(host, domain string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == domain || strings.HasSuffix(host, "."+domain)
}
