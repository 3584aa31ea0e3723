package gateway

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
)

// retryAfterSeconds is when a sender that we could not serve may come back.
const retryAfterSeconds = 5

// answer is what a client gets. The status and the code in the body are the
// same number.
type answer struct {
	status int
	msg    string
}

// standard returns the answer that a status other than 400 always has.
func standard(status int) answer {
	switch status {
	case http.StatusOK:
		return answer{status, "success"}
	case http.StatusUnauthorized:
		return answer{status, "not signed as the provider signs"}
	case http.StatusForbidden:
		return answer{status, "this address may not call here"}
	case http.StatusNotFound:
		return answer{status, "no such callback URL: POST to /callbacks/{type}"}
	case http.StatusMethodNotAllowed:
		return answer{status, "only POST is allowed here"}
	case http.StatusRequestEntityTooLarge:
		return answer{status, "the body is larger than 1 MiB"}
	case http.StatusUnsupportedMediaType:
		return answer{status, "send one Content-Type: application/json, UTF-8, without Content-Encoding"}
	case http.StatusRequestHeaderFieldsTooLarge:
		return answer{status, "the headers are larger than 32 KiB"}
	case http.StatusHTTPVersionNotSupported:
		return answer{status, "speak HTTP/1.1"}
	case http.StatusTooManyRequests:
		return answer{status, "too many callbacks at once: try again"}
	default:
		return answer{http.StatusServiceUnavailable, "not stored: try again"}
	}
}

// invalid tells the sender what is wrong with its request.
func invalid(msg string) answer { return answer{http.StatusBadRequest, msg} }

// refusal is the answer to a body that is no valid callback.
func refusal(err error) answer {
	if wrong, ok := errors.AsType[*callback.Invalid](err); ok {
		return invalid(wrong.Message)
	}
	return invalid("not a valid callback")
}

func (a answer) write(w http.ResponseWriter) {
	body, err := json.Marshal(struct {
		Code int    `json:"code"`
		Msg  string `json:"msg"`
	}{a.status, a.msg})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	switch a.status {
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // a client that left has lost nothing: the callback is stored, or it comes again
}
