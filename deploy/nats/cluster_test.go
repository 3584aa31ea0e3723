package nats_test

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/eventually"
)

// startCluster starts three servers with cluster.conf, which have their secrets in common.
func startCluster(tb testing.TB) (nodes []*secured, routes []string) {
	tb.Helper()
	for range 3 {
		routes = append(routes, fmt.Sprintf("localhost:%d", freePort(tb)))
	}
	secrets := tb.TempDir()
	for i, route := range routes {
		dir := tb.TempDir()
		if err := os.Symlink(secrets, filepath.Join(dir, "secrets")); err != nil {
			tb.Fatal(err)
		}
		s := newSecured(tb, dir, map[string]string{"0.0.0.0:6222": route, "nats-1:6222": routes[0], "nats-2:6222": routes[1], "nats-3:6222": routes[2]})
		s.launch(tb, "cluster.conf", fmt.Sprintf("NATS_SERVER_NAME=nats-%d", i+1))
		nodes = append(nodes, s)
	}
	return nodes, routes
}

func TestClusterFormsAndIsProvisionedThreefold(t *testing.T) {
	t.Parallel()
	nodes, routes := startCluster(t)
	urls := make([]string, len(nodes))
	for i, n := range nodes {
		urls[i] = n.url()
	}
	flags := nodes[0].flags("provisioner")
	flags[1] = strings.Join(urls, ",")
	eventually.Await(t, "the cluster provisioned", func() bool { // the servers find each other first
		return launch(t, built.fanfare(), nil, append([]string{"provision", "--replicas", "3", "--store-max-bytes", "67108864"}, flags...)...).wait() == 0
	})
	for _, n := range nodes {
		n.checkThreefold(t)
	}
	d := startDeployment(t, nodes[0])
	if got := d.post(t, callbackOf("good", d.media+"/a.wav")); !strings.Contains(got, `"code":200`) {
		t.Fatal(got)
	}
	eventually.Await(t, "its result", func() bool { return strings.Contains(d.as(t, "operator", "explain", "good"), "archive complete") })
	d.checkPeace(t)
	for _, n := range nodes[1:] {
		if lines := n.violations(); len(lines) > 0 {
			t.Errorf("the server saw:\n%s", strings.Join(lines, ""))
		}
	}
	checkIntruders(t, nodes[0], routes)
}

// checkThreefold asks a server whether each stream has a leader and two current copies
// besides.
func (s *secured) checkThreefold(tb testing.TB) {
	tb.Helper()
	conn, err := s.connect("operator")
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range []string{"CALLBACKS", "QUARANTINE", "DEAD_LETTERS", "TASKS", "KV_RESULTS", "KV_TASKS_STATE"} {
		eventually.Await(tb, name+" three times", func() bool {
			stream, err := js.Stream(tb.Context(), name)
			if err != nil {
				return false
			}
			cluster := stream.CachedInfo().Cluster
			return cluster != nil && cluster.Leader != "" && len(cluster.Replicas) == 2 && cluster.Replicas[0].Current && cluster.Replicas[1].Current
		})
	}
}

// checkIntruders has servers that are none of the cluster's try to join it: one with a
// certificate of another authority, and one of the right authority but with another name.
func checkIntruders(tb testing.TB, node *secured, routes []string) {
	tb.Helper()
	for name, test := range map[string]struct {
		ready func(s *secured)
		said  string // by a server of the cluster
	}{
		"another authority": {func(*secured) {}, "TLS route handshake error"},
		"another name":      {func(s *secured) { issue(tb, node, s, "intruder.example") }, "authentication error"},
	} {
		s := newSecured(tb, tb.TempDir(), map[string]string{
			"0.0.0.0:6222": freeAddr(tb), "nats-1:6222": routes[0], "nats-2:6222": routes[1], "nats-3:6222": routes[2],
		})
		test.ready(s)
		before := strings.Count(node.server.err.String(), test.said)
		s.launch(tb, "cluster.conf", "NATS_SERVER_NAME=intruder")
		eventually.Await(tb, name+" sent away", func() bool { return strings.Count(node.server.err.String(), test.said) > before })
		_ = s.server.cmd.Process.Kill()
		s.server.wait()
	}
}

// issue gives a server the authority of another one, and a certificate of that for a name.
func issue(tb testing.TB, from, to *secured, name string) {
	tb.Helper()
	authority, err := tls.LoadX509KeyPair(from.secret("ca.pem"), from.secret("ca-key.pem"))
	if err != nil {
		tb.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(to.secret("server.pem"), to.secret("server-key.pem"))
	if err != nil {
		tb.Fatal(err)
	}
	template := *own.Leaf
	template.DNSNames, template.IPAddresses = []string{name}, nil
	signer, ok := own.PrivateKey.(crypto.Signer)
	if !ok {
		tb.Fatalf("a key of type %T", own.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, authority.Leaf, signer.Public(), authority.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	trusted, err := os.ReadFile(from.secret("ca.pem"))
	if err != nil {
		tb.Fatal(err)
	}
	for file, content := range map[string][]byte{
		"ca.pem": trusted, "server.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	} {
		if err := os.WriteFile(to.secret(file), content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}
