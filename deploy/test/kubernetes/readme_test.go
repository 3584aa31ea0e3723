package kubernetes_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// secrets are those that the README's commands make, as folders of files.
type secrets struct{ dir string }

// file is where a key of a Secret is, and whether it is there.
func (s secrets) file(secret, key string) (path string, ok bool) {
	path = filepath.Join(s.dir, secret, key)
	_, err := os.Stat(path)
	return path, err == nil
}

// stubs stand in for the programs that the README's commands name: kubectl puts the
// files where a Secret is asked for, and knows nothing else.
const stubs = `
go() {
  [ "$1 $2" = "run ." ] && shift 2 && "$FANFARE" "$@"
}
kubectl() {
  [ "$1" = apply ] && shift 2 && cat "$1" >/dev/null && return
  [ "$1 $2 $3 $4 $5" = "-n fanfare create secret generic" ] || { echo "no such command here: $*"; return 1; }
  secret=$6
  shift 6
  mkdir "$OUT/$secret"
  for arg; do
    pair=${arg#--from-file=}
    cp "${pair#*=}" "$OUT/$secret/${pair%%=*}"
  done
}
`

// makeSecrets runs the README's commands that make the Secrets, in a folder like the
// repository's.
func makeSecrets(tb testing.TB) secrets {
	tb.Helper()
	commands := regexp.MustCompile("(?s)```sh\n([^`]*kubectl -n fanfare create secret[^`]*)```").FindSubmatch(read(tb, root+"/README.md"))
	if commands == nil {
		tb.Fatal("the README does not say how to make the Secrets")
	}
	dir, s := tb.TempDir(), secrets{tb.TempDir()}
	manifests, err := filepath.Abs(deploy + "/kubernetes")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "deploy", "nats"), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.Symlink(manifests, filepath.Join(dir, "deploy", "kubernetes")); err != nil {
		tb.Fatal(err)
	}
	shell := exec.CommandContext(tb.Context(), "bash", "-euc", stubs+string(commands[1]))
	shell.Dir = dir
	shell.Env = append(os.Environ(), "OUT="+s.dir, "FANFARE="+built.fanfare(tb))
	if out, err := shell.CombinedOutput(); err != nil {
		tb.Fatalf("the README's commands: %v\n%s", err, out)
	}
	return s
}

// TestCommandsHaveNoComments looks at what the README gives to a shell: zsh takes a # that
// is typed or pasted, and what follows, for arguments, and an apostrophe for a quote.
func TestCommandsHaveNoComments(t *testing.T) {
	t.Parallel()
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(read(t, root+"/README.md"), -1) {
		if bytes.Contains(block[1], []byte("#")) {
			t.Errorf("a comment in\n%s", block[1])
		}
	}
}

// TestSecretsAreMadeForEveryProcessAndForNobodyElse holds the README's Secrets against
// the manifests: none is missing, and none is there that nobody mounts.
func TestSecretsAreMadeForEveryProcessAndForNobodyElse(t *testing.T) {
	t.Parallel()
	made := makeSecrets(t)
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			mounted := make(map[string]string)
			for _, w := range c.workloads {
				for _, ref := range w.files() {
					if ref.secret == "" {
						continue
					}
					if by := mounted[ref.secret]; by != "" && by != w.name {
						t.Errorf("Secret %s is mounted by %s and %s", ref.secret, by, w.name)
					}
					mounted[ref.secret] = w.name
					if ref.key == "" {
						continue
					}
					if _, ok := made.file(ref.secret, ref.key); !ok {
						t.Errorf("%s mounts %s of Secret %s, which the README does not make", w.name, ref.key, ref.secret)
					}
				}
			}
			for _, entry := range folder(t, made.dir) {
				if mounted[entry.Name()] == "" {
					t.Errorf("the README makes a Secret %s, which nobody mounts", entry.Name())
				}
				delete(mounted, entry.Name())
			}
			for secret, by := range mounted {
				t.Errorf("%s mounts Secret %s, which the README does not make", by, secret)
			}
		})
	}
}

// TestFilesThatSettingsNameAreMounted looks for them among what the README's commands
// make.
func TestFilesThatSettingsNameAreMounted(t *testing.T) {
	t.Parallel()
	made := makeSecrets(t)
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			for _, w := range c.workloads {
				for _, env := range w.container().Env {
					if strings.HasSuffix(env.Name, "_FILE") && !w.has(made, env.Value) {
						t.Errorf("%s: %s is %s, which no Secret of the README's puts there", w.name, env.Name, env.Value)
					}
				}
			}
		})
	}
}

// has says whether a path is that of a Secret's file.
func (w *workload) has(made secrets, path string) bool {
	for _, file := range w.files() {
		if key, below := strings.CutPrefix(path, file.path+"/"); below && file.secret != "" {
			_, ok := made.file(file.secret, key)
			return ok
		}
	}
	return false
}

// TestSecretsThatAreTheOperatorsAreNamed looks for the other Secrets that are referred
// to.
func TestSecretsThatAreTheOperatorsAreNamed(t *testing.T) {
	t.Parallel()
	readme := string(read(t, root+"/README.md"))
	for _, c := range clusters(t) {
		t.Run(c.overlay, func(t *testing.T) {
			t.Parallel()
			for _, name := range c.otherSecrets() {
				if !strings.Contains(readme, "Secret `"+name+"`") {
					t.Errorf("the README does not tell of Secret %s", name)
				}
			}
		})
	}
}

// TestServersProveEveryNameThatTheyAreCalledBy looks at the certificate that the README's
// commands make, and at what the README says of the operator's own: Services are called
// by their short names in the namespace, and the one of all servers by longer ones from
// elsewhere.
func TestServersProveEveryNameThatTheyAreCalledBy(t *testing.T) {
	t.Parallel()
	path, _ := makeSecrets(t).file("nats-server", "server.pem")
	block, _ := pem.Decode(read(t, path))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("`server.pem` for the names [^|]*").Find(read(t, root+"/README.md"))
	called := []string{"localhost", "nats.fanfare", "nats.fanfare.svc"}
	c := newCluster(t, "base")
	for _, service := range all[*corev1.Service](c) {
		if slices.Contains(c.selects(t, &metav1.LabelSelector{MatchLabels: service.Spec.Selector}), c.workload("nats")) {
			called = append(called, service.Name)
		}
	}
	if len(called) < 7 {
		t.Errorf("only %q", called)
	}
	for _, name := range called {
		if err := certificate.VerifyHostname(name); err != nil {
			t.Errorf("a client that calls %s turns away: %v", name, err)
		}
		if !bytes.Contains(row, []byte("`"+name+"`")) {
			t.Errorf("the README does not ask for a certificate for the name %s", name)
		}
	}
}
