package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/deploy/test/eventually"
)

// startCluster starts three servers as deploy/nats/cluster.conf has them, with empty stores. The first of them is on
// the rig's address.
func (r *natsRig) startCluster(t *testing.T) (servers []*process) {
	t.Helper()
	clients, monitors := []string{r.addr, freeAddr(t), freeAddr(t)}, []string{r.monitor, freeAddr(t), freeAddr(t)}
	var routes []string
	for range 3 {
		routes = append(routes, strings.Replace(freeAddr(t), "127.0.0.1", "localhost", 1))
	}
	for i := range 3 {
		dir := t.TempDir()
		if err := os.Symlink(r.secret(""), filepath.Join(dir, "secrets")); err != nil {
			t.Fatal(err)
		}
		replace := strings.NewReplacer(
			"0.0.0.0:4222", clients[i], "http: 127.0.0.1:8222", "http: "+monitors[i], "store_dir: /data", "store_dir: "+t.TempDir(), "/etc/nats", dir,
			"0.0.0.0:6222", routes[i], "nats-1:6222", routes[0], "nats-2:6222", routes[1], "nats-3:6222", routes[2],
			"$NATS_SERVER_NAME", fmt.Sprintf("nats-%d", i+1),
		)
		servers = append(servers, startNATS(t, dir, "cluster.conf", replace))
	}
	for _, monitor := range monitors {
		eventually.Await(t, "a server to have one connection to each other one, and to be healthy", func() bool {
			return strings.Count(get(t, "http://"+monitor+"/routez"), `"remote_name"`) == 2 && strings.Contains(get(t, "http://"+monitor+"/healthz"), "ok")
		})
	}
	return servers
}

// states are what each stream holds, and in how many copies.
func states(t *testing.T, js jetstream.JetStream) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range streams() {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		info := stream.CachedInfo()
		all[name] = fmt.Sprintf("%d messages up to %d, %d durables, %d copies", info.State.Msgs, info.State.LastSeq, info.State.Consumers, info.Config.Replicas)
	}
	return all
}

// TestClusterIsRestored takes the backup of a secured cluster and restores it to empty ones, with the commands of the
// README. It does so several times: whatever comes in another order than it should does so now and then.
func TestClusterIsRestored(t *testing.T) {
	t.Parallel()
	r := newNATSRig(t)
	servers := r.startCluster(t)
	once(t, built.fanfare(t), r.as("provisioner", "provision", "--replicas", "3", "--store-max-bytes", "268435456")...)
	js := r.operator(t)
	for i := range 100 {
		if _, err := js.Publish(t.Context(), "callbacks.wav.error", fmt.Appendf(nil, `{"code":500,"msg":"","data":{"task_id":"t%d"}}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	once(t, built.fanfare(t), r.as("operator", "expect", "wav", "t0")...)
	before := states(t, js)
	lines := readmeLines(t, "### Back up and restore", "nats ")
	sh := newShell(t)
	for _, name := range []string{"ca.pem", "backup.nk", "provisioner.nk"} {
		write(t, sh.dir, name, read(t, r.secret(name)))
	}
	r.save(t, sh, "backup", lines[0])
	r.save(t, sh, "provisioner", lines[3])
	sh.run(t, lines[1])
	for range 3 {
		for _, server := range servers {
			server.stop()
		}
		servers = r.startCluster(t)
		sh.run(t, lines[4])
		if after := states(t, r.operator(t)); !maps.Equal(after, before) {
			t.Fatalf("restored are %q\nof %q", after, before)
		}
	}
}
