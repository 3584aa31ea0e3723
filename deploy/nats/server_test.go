package nats_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
)

// secured is a folder like /etc/nats: deploy's own configurations, but with addresses
// and a store of the test's own, and the secrets of a development set-up.
type secured struct {
	dir    string
	addr   string // of clients
	server *process
}

// newSecured readies the folder. More replaces what the files say besides their client
// address and their folders.
func newSecured(tb testing.TB, dir string, more map[string]string) *secured {
	tb.Helper()
	s := &secured{dir: dir, addr: fmt.Sprintf("localhost:%d", freePort(tb))}
	replace := map[string]string{
		"0.0.0.0:4222":         s.addr,
		"http: 127.0.0.1:8222": "http: 127.0.0.1:-1",
		"store_dir: /data":     "store_dir: " + tb.TempDir(),
		"/etc/nats/":           dir + "/",
	}
	maps.Copy(replace, more)
	files, err := filepath.Glob("*.conf")
	if err != nil {
		tb.Fatal(err)
	}
	said := make(map[string]bool)
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		config := string(raw)
		for from, to := range replace {
			said[from] = said[from] || strings.Contains(config, from)
			config = strings.ReplaceAll(config, from, to)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(config), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	for from, ok := range said {
		if !ok {
			tb.Fatalf("no configuration says %q", from)
		}
	}
	s.makeSecrets(tb)
	return s
}

func (s *secured) makeSecrets(tb testing.TB) {
	tb.Helper()
	p := launch(tb, built.fanfare(), nil, "provision", "--dev-secrets", s.secret(""))
	if status := p.wait(); status != 0 {
		tb.Fatalf("status %d: %s", status, p.err.String())
	}
}

func (s *secured) secret(name string) string { return filepath.Join(s.dir, "secrets", name) }

// launch starts the server with one of the files.
func (s *secured) launch(tb testing.TB, config string, env ...string) {
	tb.Helper()
	s.server = launch(tb, built.natsServer(), env, "-c", filepath.Join(s.dir, config))
}

// start starts the server with one of the files and waits until it can be reached.
func (s *secured) start(tb testing.TB, config string, env ...string) {
	tb.Helper()
	s.launch(tb, config, env...)
	eventually.Await(tb, "NATS server up", func() bool {
		return strings.Contains(s.server.err.String(), "Server is ready")
	})
}

func (s *secured) url() string { return "tls://" + s.addr }

// flags are those with which a role's process connects.
func (s *secured) flags(role string) []string {
	return []string{
		"--nats-url", s.url(), "--nats-ca-file", s.secret("ca.pem"), "--nats-nkey-file", s.secret(role + ".nk"),
	}
}

// as runs a command of a role to its end, and returns what it printed.
func (s *secured) as(tb testing.TB, role string, args ...string) string {
	tb.Helper()
	p := launch(tb, built.fanfare(), nil, append(args, s.flags(role)...)...)
	if status := p.wait(); status != 0 {
		tb.Fatalf("%s as %s ended with status %d: %s", p.name, role, status, p.err.String())
	}
	return p.out.String()
}

// violations are the lines of the server's log that tell of something forbidden.
func (s *secured) violations() (lines []string) {
	for line := range strings.Lines(s.server.err.String()) {
		if strings.Contains(line, "Violation") || strings.Contains(line, "authentication error") {
			lines = append(lines, line)
		}
	}
	return lines
}

// connect connects a client of a role, as a user's own service would.
func (s *secured) connect(role string, options ...nats.Option) (*nats.Conn, error) {
	nkey, err := nats.NkeyOptionFromSeed(s.secret(role + ".nk"))
	if err != nil {
		return nil, err
	}
	inbox := func(o *nats.Options) error {
		o.InboxPrefix = "_INBOX." + o.Nkey
		return nil
	}
	return nats.Connect(s.url(), append(options, nkey, inbox, nats.RootCAs(s.secret("ca.pem")))...)
}

// startSecured starts the single server and provisions it by the role for that.
func startSecured(tb testing.TB) *secured {
	tb.Helper()
	s := newSecured(tb, tb.TempDir(), nil)
	s.start(tb, "secure.conf")
	if out := s.as(tb, "provisioner", "provision", "--store-max-bytes", "67108864"); !strings.Contains(out, "provisioned") {
		tb.Fatal(out)
	}
	return s
}

// types are those that have a schema.
func types(tb testing.TB) []callback.Type {
	tb.Helper()
	contracts, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	return contracts.Types()
}
