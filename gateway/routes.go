package gateway

import (
	"net/http"

	"github.com/gorilla/mux"

	"fanfare/pkg/callback"
)

// tokenVar is the path variable that holds a URL token.
const tokenVar = "token"

// router routes /callbacks/<type> for every contract, with a token behind it
// where tokens are configured. Paths are taken as they come: nothing is cleaned,
// decoded or redirected.
func (g *Gateway) router(contracts callback.Contracts) http.Handler {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	suffix := ""
	if g.tokens != nil {
		suffix = "/{" + tokenVar + "}"
	}
	for t, contract := range contracts {
		router.Path("/callbacks/" + string(t) + suffix).Name(string(t)).Handler(g.receiver(contract))
	}
	router.NotFoundHandler = http.HandlerFunc(g.unknown)
	return router
}

// token returns the token in a request's path.
func token(r *http.Request) string { return mux.Vars(r)[tokenVar] }

// unknown answers a path that no route takes.
func (g *Gateway) unknown(w http.ResponseWriter, _ *http.Request) {
	g.metrics.callbacks.WithLabelValues(none, none, string(resultRejected)).Inc()
	abandon(w)
	standard(http.StatusNotFound).write(w)
}
