package gateway

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"fanfare/pkg/callback"
)

// tokenVar is the path variable that holds a URL token.
const tokenVar = "token"

// router routes /callbacks/<type> for every contract. Where tokens are configured,
// whatever stands behind it is taken for one, so that a URL with a wrong token or none
// counts under its type. Paths are taken as they come: nothing is cleaned, decoded or
// redirected.
func router(contracts callback.Contracts, tokens bool, receiver func(*callback.Contract) http.Handler, unknown http.HandlerFunc) http.Handler {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	suffix := ""
	if tokens {
		suffix = "{" + tokenVar + ":(?:/.*)?}"
	}
	for t, contract := range contracts {
		router.Path("/callbacks/" + string(t) + suffix).Name(string(t)).Handler(receiver(contract))
	}
	router.NotFoundHandler = unknown
	return router
}

// token returns the token in a request's path, or "" if there is none.
func token(r *http.Request) string { return strings.TrimPrefix(mux.Vars(r)[tokenVar], "/") }

// unknown answers a path that no route takes.
func (g *Gateway) unknown(w http.ResponseWriter, _ *http.Request) {
	g.metrics.callbacks.WithLabelValues(none, none, string(resultRejected)).Inc()
	abandon(w)
	standard(http.StatusNotFound).write(w)
}
