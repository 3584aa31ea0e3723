package gateway

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd"
	"fanfare/pkg/natsd/natstest"
	"fanfare/schemas"
)

// noting is a store that notes what it was asked to keep.
type noting struct {
	*broker.Broker
	published   *callback.Callback
	quarantined *broker.Quarantined
}

func (n *noting) Publish(ctx context.Context, cb callback.Callback) (broker.Published, error) {
	n.published = &cb
	return n.Broker.Publish(ctx, cb)
}

func (n *noting) Quarantine(ctx context.Context, q broker.Quarantined) error {
	n.quarantined = &q
	return n.Broker.Quarantine(ctx, q)
}

// FuzzBody: what is answered 200 was published as it came, what is answered 400
// was quarantined as it came and published never, and nothing else is answered.
func FuzzBody(f *testing.F) {
	contracts, err := callback.LoadContracts()
	if err != nil {
		f.Fatal(err)
	}
	server, err := natsd.Start(natsd.Options{
		Logger: slog.New(slog.DiscardHandler), Dir: f.TempDir(), MaxPayload: broker.MaxPayload, StoreMaxBytes: 1 << 30, Unsynced: true,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(server.Stop)
	store := &noting{Broker: natstest.Provisioned(f, server)}
	js := natstest.JetStream(f, server)
	g, err := New(Options{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Contracts: contracts, Store: store, Listen: "127.0.0.1:0",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = g.listener.Close() })
	names, err := fs.Glob(schemas.Files, "examples/*/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		body, err := schemas.Files.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(path.Base(path.Dir(name)), body)
	}
	runs := 0
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		contract := contracts[callback.Type(typ)]
		if contract == nil {
			return
		}
		store.published, store.quarantined = nil, nil
		if runs++; runs%10_000 == 0 { // before they are full, which is answered 503
			for _, name := range []string{broker.StreamCallbacks, broker.StreamQuarantine} {
				if err := js.DeleteStream(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := store.Provision(t.Context(), broker.Plan{Types: contracts.Types(), StoreMaxBytes: 1 << 30}); err != nil {
				t.Fatal(err)
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callbacks/"+typ, io.NopCloser(bytes.NewReader(body)))
		r.Header.Set("Content-Type", "application/json")
		w := answered{httptest.NewRecorder()}
		g.server.Handler.ServeHTTP(w, r)
		w.check(t)
		_, invalid := contract.Decode(body)
		switch {
		case w.Code == http.StatusOK && invalid == nil && store.published != nil && bytes.Equal(store.published.Body, body):
		case w.Code == http.StatusBadRequest && invalid != nil && store.published == nil && store.quarantined != nil && bytes.Equal(store.quarantined.Body, body):
		case w.Code == http.StatusRequestEntityTooLarge && len(body) > maxBodyBytes && store.published == nil && store.quarantined == nil:
		default:
			t.Errorf("answered %d, held against the contract: %v, published %v, quarantined %v", w.Code, invalid, store.published, store.quarantined)
		}
	})
}

// answered is a recorder that can be given deadlines, as a connection can.
type answered struct{ *httptest.ResponseRecorder }

func (answered) SetReadDeadline(time.Time) error { return nil }

// check holds an answer against what all have in common.
func (a answered) check(t *testing.T) {
	t.Helper()
	var said struct {
		Code int    `json:"code"`
		Msg  string `json:"msg"`
	}
	if err := json.Unmarshal(a.Body.Bytes(), &said); err != nil || said.Code != a.Code || said.Msg == "" || a.Body.Len() > 2048 || strings.Contains(a.Body.String(), "jsontext") {
		t.Errorf("answered %d %s, %v", a.Code, a.Body, err)
	}
}
