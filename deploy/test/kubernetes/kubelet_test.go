package kubernetes_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"fanfare/deploy/test/eventually"
	"fanfare/deploy/test/programs"
)

// patience bounds every wait for something that is to happen.
const patience = 2 * time.Minute

// node runs the pods of an overlay as processes on this machine. What differs from a
// cluster is only where things are: files lie in folders of the test instead of at
// their mount paths, and every address is one of loopback.
type node struct {
	cluster *cluster
	secrets secrets
	servers map[string]string // what the manifests say of NATS's addresses, and where they are
}

func newNode(t *testing.T, overlay string) *node {
	t.Helper()
	n := &node{newCluster(t, overlay), makeSecrets(t), make(map[string]string)}
	for i := range 3 {
		n.servers[fmt.Sprintf("nats-%d:4222", i+1)] = "localhost:" + freePort(t)
		n.servers[fmt.Sprintf("nats-%d:6222", i+1)] = "localhost:" + freePort(t)
	}
	return n
}

// pod is a pod that runs, or has run.
type pod struct {
	name    string
	command *exec.Cmd
	done    chan struct{}
	moved   map[string]string // what the manifests say of its addresses, and where they are

	programs.Output
}

// start starts a pod of a workload.
func (n *node) start(t *testing.T, w *workload, name string) *pod {
	t.Helper()
	p := &pod{name: name, done: make(chan struct{}), moved: maps.Clone(n.servers)}
	for _, address := range []string{"0.0.0.0:8080", "0.0.0.0:8081", "127.0.0.1:8222"} {
		p.moved[address] = "127.0.0.1:" + freePort(t)
	}
	p.moved["0.0.0.0:4222"], p.moved["0.0.0.0:6222"] = n.servers[name+":4222"], n.servers[name+":6222"]
	folders := n.mount(t, w, p)
	args := slices.Concat(w.container().Command, w.container().Args)
	if w.isFanfare() {
		args = append([]string{built.fanfare(t)}, args...) // the image's entry point
	} else {
		args[0] = built.natsServer(t)
	}
	for i := range args[1:] {
		args[i+1] = p.here(args[i+1], folders)
	}
	p.command = exec.Command(args[0], args[1:]...) //nolint:noctx // the test's end is told below
	p.command.Dir, p.command.Stdout, p.command.Stderr = t.TempDir(), p, p
	for key, value := range n.environment(t, w, name) {
		p.command.Env = append(p.command.Env, key+"="+p.here(value, folders))
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.command.Wait() // its state says it
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s: the last of its output:\n%s", name, p.Tail())
		}
	})
	return p
}

// environment is what a container's variables say, and nothing of this machine's.
func (n *node) environment(t *testing.T, w *workload, name string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, from := range w.container().EnvFrom {
		if from.ConfigMapRef != nil {
			configMap, _ := named[*corev1.ConfigMap](n.cluster, from.ConfigMapRef.Name)
			maps.Copy(all, configMap.Data)
		} else if !*from.SecretRef.Optional {
			t.Fatalf("%s cannot do without Secret %s", w.name, from.SecretRef.Name)
		}
	}
	for _, env := range w.container().Env {
		all[env.Name] = env.Value
		if env.ValueFrom != nil && env.ValueFrom.FieldRef.FieldPath == "metadata.name" {
			all[env.Name] = name
		}
	}
	return all
}

// mount puts a pod's files into folders, and returns these by their mount paths.
func (n *node) mount(t *testing.T, w *workload, p *pod) map[string]string {
	t.Helper()
	folders, content := make(map[string]string), make(map[string]map[string]string)
	for _, mount := range w.container().VolumeMounts {
		folders[mount.MountPath], content[mount.MountPath] = t.TempDir(), make(map[string]string)
	}
	for _, file := range w.files() {
		for path, files := range content {
			below, ok := strings.CutPrefix(file.path, path)
			if !ok {
				continue
			}
			for key, text := range n.keys(t, file) {
				files[filepath.Join(below, key)] = text
			}
		}
	}
	for path, folder := range folders {
		for name, text := range content[path] {
			text = p.here(text, folders)
			project(t, folder, name, text)
		}
	}
	return folders
}

// keys are what is mounted of a ConfigMap or a Secret, by the rest of its path.
func (n *node) keys(t *testing.T, file mounted) map[string]string {
	t.Helper()
	if configMap, ok := named[*corev1.ConfigMap](n.cluster, file.configMap); ok {
		return configMap.Data
	}
	if file.secret == "" {
		return nil // a volume of its own
	}
	if file.key != "" {
		path, _ := n.secrets.file(file.secret, file.key)
		return map[string]string{"": string(read(t, path))}
	}
	all := make(map[string]string)
	for _, entry := range folder(t, filepath.Join(n.secrets.dir, file.secret)) {
		path, _ := n.secrets.file(file.secret, entry.Name())
		all[entry.Name()] = string(read(t, path))
	}
	return all
}

// project writes a file as the kubelet does, behind two symbolic links.
func project(t *testing.T, folder, name, text string) {
	t.Helper()
	const version = "..2026"
	path := filepath.Join(folder, version, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o400); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	for link, target := range map[string]string{"..data": version, first: "..data/" + first} {
		if err := os.Symlink(target, filepath.Join(folder, link)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
}

// here puts the places of this machine for those in a text that the manifests speak of.
func (p *pod) here(text string, folders map[string]string) string {
	for path, folder := range folders {
		text = regexp.MustCompile(`(^|[\s"]|//)`+path+`(/|"|\s|$)`).ReplaceAllString(text, "${1}"+folder+"${2}")
	}
	for from, to := range p.moved {
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}

// probe asks what a probe asks, and says whether the answer is 200.
func (p *pod) probe(t *testing.T, w *workload, probe *corev1.Probe) bool {
	t.Helper()
	if probe.HTTPGet != nil {
		number, _ := w.port(probe.HTTPGet.Port)
		return succeeds(t, http.MethodGet, "http://"+p.moved[fmt.Sprintf("0.0.0.0:%d", number)]+probe.HTTPGet.Path, "")
	}
	url := probe.Exec.Command[len(probe.Exec.Command)-1] // wget's
	return succeeds(t, http.MethodGet, p.here(url, nil), "")
}

// succeeds sends a request and says whether it is answered 200.
func succeeds(t *testing.T, method, url, body string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// terminate tells a pod to end as the kubelet does, and returns its exit status.
func (p *pod) terminate(t *testing.T, w *workload) int {
	t.Helper()
	if hook := w.container().Lifecycle; hook != nil && hook.PreStop.Exec != nil {
		args := hook.PreStop.Exec.Command
		last := strings.ReplaceAll(args[len(args)-1], "=1", fmt.Sprintf("=%d", p.command.Process.Pid)) // in its container it is process 1
		command := exec.CommandContext(t.Context(), built.natsServer(t), append(args[1:len(args)-1:len(args)-1], last)...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %v\n%s", p.name, args, err, out)
		}
		eventually.Await(t, p.name+" to leave", func() bool { return strings.Contains(p.String(), "lame duck") })
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	return p.wait(t)
}

// wait waits for a pod's end, and returns its exit status.
func (p *pod) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.command.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s never ended", p.name)
		return -1
	}
}

// ports counts the ports that were handed out, so that none is handed out twice.
var ports atomic.Int64 //nolint:gochecknoglobals // tests run in parallel on one machine's ports

// freePort returns a port of loopback on which nobody listens, below those that systems
// give to outgoing connections.
func freePort(t *testing.T) string {
	t.Helper()
	const first, count = 10_000, 22_000
	for range count {
		port := fmt.Sprint(int64(first) + (int64(os.Getpid())*31+ports.Add(1))%count)
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}
