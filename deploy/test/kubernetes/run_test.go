package kubernetes_test

import (
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"fanfare/deploy/test/eventually"
)

// TestSettingsAreThoseOfTheProgram asks fanfare for help: a variable that it does not
// know would silently do nothing.
func TestSettingsAreThoseOfTheProgram(t *testing.T) {
	t.Parallel()
	fanfare := built.fanfare(t)
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			n := &node{cluster: c}
			for _, w := range c.workloads {
				if !w.isFanfare() {
					continue
				}
				if len(w.container().Command) > 0 {
					t.Errorf("%s does not use the image's entry point", w.name)
				}
				help, err := exec.CommandContext(t.Context(), fanfare, w.container().Args[0], "--help").CombinedOutput()
				if err != nil {
					t.Errorf("fanfare %s: %v", w.container().Args[0], err)
				}
				for name := range n.environment(t, w, w.name) {
					known := regexp.MustCompile(`\(\$` + name + `\)`).MatchString(strings.Join(strings.Fields(string(help)), " "))
					if strings.HasPrefix(name, "FANFARE_") && !known {
						t.Errorf("%s: fanfare %s does not know %s", w.name, w.container().Args[0], name)
					}
				}
			}
		})
	}
}

// TestThePartsRunAsTheManifestsSay runs every pod of the trial, with the README's
// Secrets: the servers form a cluster, the Job provisions it, and all others, which
// were there before, become ready. Then the gateway's own server leaves.
func TestThePartsRunAsTheManifestsSay(t *testing.T) {
	t.Parallel()
	n := newNode(t, "overlays/trial")
	job, broker := n.cluster.workload("provision"), n.cluster.workload("nats")
	if status := n.start(t, job, "provision-0").wait(t); status == 0 {
		t.Error("without servers the Job ends well")
	}
	processes := make(map[string]*pod)
	for _, w := range n.cluster.workloads {
		if w.kind == "Deployment" {
			processes[w.name] = n.start(t, w, w.name)
		}
	}
	servers := make(map[string]*pod)
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
		servers[name] = n.start(t, broker, name)
	}
	for name, server := range servers {
		eventually.Await(t, name+" to be started", func() bool { return server.probe(t, broker, broker.container().StartupProbe) })
		eventually.Await(t, name+" to be ready", func() bool { return server.probe(t, broker, broker.container().ReadinessProbe) })
		if !server.probe(t, broker, broker.container().LivenessProbe) {
			t.Errorf("%s does not live", name)
		}
		if !strings.Contains(server.String(), "Name:     "+name+"\n") {
			t.Errorf("%s goes by another name", name)
		}
	}
	eventually.Await(t, "the Job to end well", func() bool { return n.start(t, job, "provision").wait(t) == 0 })
	for name, process := range processes {
		w := n.cluster.workload(name)
		eventually.Await(t, name+" to be ready", func() bool { return process.probe(t, w, w.container().ReadinessProbe) })
		if !process.probe(t, w, w.container().LivenessProbe) {
			t.Errorf("%s does not live", name)
		}
	}
	n.call(t, processes["gateway"])
	own := regexp.MustCompile(`"server":"(nats-\d)"`).FindStringSubmatch(processes["gateway"].String())[1]
	if status := servers[own].terminate(t, broker); status != 0 || !strings.Contains(servers[own].String(), "Closing existing clients") {
		t.Errorf("%s ended with status %d, and without sending its clients away", own, status)
	}
	n.call(t, processes["gateway"])
	for name, process := range processes {
		if status := process.terminate(t, n.cluster.workload(name)); status != 0 {
			t.Errorf("%s ended with status %d", name, status)
		}
	}
}

// call sends a callback, as the README does, until it is stored, and so again if it is.
func (n *node) call(t *testing.T, gateway *pod) {
	t.Helper()
	path, _ := n.secrets.file("gateway", "url-token")
	url := "http://" + gateway.moved["0.0.0.0:8080"] + "/callbacks/wav/"
	body := string(read(t, root+"/schemas/examples/wav/complete.json"))
	eventually.Await(t, "a callback to be stored", func() bool {
		return succeeds(t, http.MethodPost, url+strings.TrimSpace(string(read(t, path))), body)
	})
	if succeeds(t, http.MethodPost, url+"guessed", body) {
		t.Error("a callback without the token is answered 200")
	}
}
