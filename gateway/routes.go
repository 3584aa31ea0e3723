package gateway

import (
	"net/http"

	"github.com/gorilla/mux"

	"fanfare/pkg/callback"
)

// router routes POST /callbacks/<type> for every contract. Paths are taken as
// they come: nothing is cleaned, decoded or redirected.
func (g *Gateway) router(contracts callback.Contracts) http.Handler {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	for t, contract := range contracts {
		router.Path("/callbacks/" + string(t)).Methods(http.MethodPost).Name(string(t)).Handler(g.receiver(contract))
	}
	router.NotFoundHandler = g.refuser(standard(http.StatusNotFound))
	router.MethodNotAllowedHandler = g.refuser(standard(http.StatusMethodNotAllowed))
	return router
}

// refuser answers a request that no route takes, without reading it.
func (g *Gateway) refuser(a answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.metrics.callbacks.WithLabelValues(none, none, string(resultRejected)).Inc()
		abandon(w)
		a.write(w)
	})
}
