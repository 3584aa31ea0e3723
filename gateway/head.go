package gateway

import (
	"errors"
	"net/http"
)

var errAmbiguous = errors.New("gateway: the length of the body is uncertain")

// checkHead holds everything but the body against the contract, in the order of
// the answers: token, method, address, size of the headers, media type, declared
// size, signature headers, framing. ok is false where the answer is final.
func (g *Gateway) checkHead(r *http.Request) (claim signature, refused outcome, ok bool) {
	switch {
	case g.tokens != nil && !isToken(token(r), g.tokens.get()):
		return claim, unauthenticated(http.StatusNotFound, errToken), false // who has no token learns of no type
	case r.ProtoMajor != 1 || r.ProtoMinor != 1:
		return claim, rejected(standard(http.StatusHTTPVersionNotSupported), nil), false
	case r.Method != http.MethodPost:
		return claim, rejected(standard(http.StatusMethodNotAllowed), nil), false
	case !g.allowed(r):
		return claim, unauthenticated(http.StatusForbidden, nil), false
	case headerBytes(r) > maxHeaderBytes:
		return claim, rejected(standard(http.StatusRequestHeaderFieldsTooLarge), nil), false
	case !acceptable(r.Header):
		return claim, rejected(standard(http.StatusUnsupportedMediaType), nil), false
	case r.ContentLength > maxBodyBytes:
		return claim, rejected(standard(http.StatusRequestEntityTooLarge), errTooLarge), false
	}
	if g.keys != nil {
		var err error
		if claim, err = readSignature(r.Header, g.now(), g.tolerance); err != nil {
			return claim, unauthenticated(http.StatusUnauthorized, err), false
		}
	}
	if own, known := r.Context().Value(connKey{}).(*conn); known && own.ambiguous(r.ContentLength < 0) {
		return claim, rejected(invalid("it is not certain how long the body is: send one request at a time, with one Content-Length"), errAmbiguous), false
	}
	return claim, refused, true
}

// headerBytes is what the headers take on the wire.
func headerBytes(r *http.Request) int {
	const separators = len(": \r\n")
	size := len("Host") + len(r.Host) + separators
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + separators
		}
	}
	return size
}

// allowed reports whether the peer's address may call.
func (g *Gateway) allowed(r *http.Request) bool {
	if len(g.allowFrom) == 0 {
		return true
	}
	addr, known := peer(r, g.trustedProxies)
	return known && g.allowFrom.contain(addr)
}
