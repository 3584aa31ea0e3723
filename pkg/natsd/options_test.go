package natsd

import (
	"log/slog"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// running starts a server and returns what it says of itself.
func running(tb testing.TB, o Options) (*Server, *server.Varz) {
	tb.Helper()
	o.Logger = slog.New(slog.NewJSONHandler(tb.Output(), nil))
	o.Dir, o.MaxPayload, o.StoreMaxBytes = tb.TempDir(), 1<<20+128<<10, 1<<20
	s, err := Start(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Stop)
	varz, err := s.server.Varz(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s, varz
}

func TestEveryWriteIsSyncedUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	for _, unsynced := range []bool{false, true} {
		s, varz := running(t, Options{Unsynced: unsynced})
		if got := s.server.JetStreamConfig().SyncAlways; got == unsynced {
			t.Errorf("unsynced %v: the store has SyncAlways %v", unsynced, got)
		}
		if got := varz.JetStream.Config.SyncAlways; got == unsynced {
			t.Errorf("unsynced %v: the server reports SyncAlways %v", unsynced, got)
		}
	}
}

func TestServerReportsWhatItWasAskedFor(t *testing.T) {
	t.Parallel()
	s, varz := running(t, Options{})
	if varz.Name != "fanfare" || varz.MaxPayload != 1<<20+128<<10 {
		t.Errorf("name %q, max_payload %d", varz.Name, varz.MaxPayload)
	}
	if got := varz.JetStream.Config.MaxStore; got != 1<<20 || got != s.StoreMaxBytes() {
		t.Errorf("the store may take %d bytes, %d of them known to us", got, s.StoreMaxBytes())
	}
	if varz.HTTPPort != 0 || varz.Cluster.Port != 0 || varz.LeafNode.Port != 0 {
		t.Error("listens where it was not asked to")
	}
}

func TestListenAddresses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		listen, host string
		port         int
	}{
		{"127.0.0.1:4222", "127.0.0.1", 4222},
		{"127.0.0.1:0", "127.0.0.1", server.RANDOM_PORT},
		{":4222", "", 4222},
		{"[::1]:4222", "::1", 4222},
		{"nats.example:65535", "nats.example", 65535},
	} {
		options, err := serverOptions(Options{Listen: row.listen}, 1)
		if err != nil {
			t.Errorf("%s: %v", row.listen, err)
			continue
		}
		if options.DontListen || options.Host != row.host || options.Port != row.port {
			t.Errorf("%s: host %q, port %d, don't listen %v", row.listen, options.Host, options.Port, options.DontListen)
		}
	}
}

// Signals are main's: a server that handled them would end the process.
func TestServerHandlesNoSignals(t *testing.T) {
	t.Parallel()
	options, err := serverOptions(Options{}, 1)
	if err != nil || !options.NoSigs || !options.DontListen {
		t.Errorf("%+v, %v", options, err)
	}
}
