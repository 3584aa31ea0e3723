package cli_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// devSecrets makes the secrets in dir and returns every file's content by its name.
func devSecrets(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	p := fanfare(tb, "provision", "--dev-secrets", dir)
	if status := p.wait(); status != 0 {
		tb.Fatalf("status %d: %s", status, p.err.String())
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	contents := make(map[string]string)
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		raw, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		contents[file.Name()] = string(raw)
		if info, err := file.Info(); err != nil || info.Mode().Perm() != 0o600 {
			tb.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		if said := p.out.String() + p.err.String(); len(raw) > 0 && strings.Contains(said, strings.TrimSpace(string(raw))) {
			tb.Errorf("%s is told", path)
		}
	}
	return contents
}

func TestDevSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "secrets")
	first := devSecrets(t, dir)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
	for _, name := range []string{
		"ca.pem", "ca-key.pem", "server.pem", "server-key.pem", "roles.conf", "url-token", "hmac-key", "gateway.nk", "consumer-music.nk",
		"consumer-video.nk", "consumer-wav.nk", "consumer-cover.nk", "reconciler.nk", "subscriber.nk", "operator.nk", "provisioner.nk",
		"backup.nk",
	} {
		if first[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	for name, content := range first {
		if strings.HasSuffix(name, ".nk") && strings.Contains(first["roles.conf"], strings.TrimSpace(content)) {
			t.Errorf("roles.conf holds %s", name)
		}
	}
	if strings.Count(first["roles.conf"], "_NKEY: U") != 10 {
		t.Errorf("roles.conf: %s", first["roles.conf"])
	}
	if again := devSecrets(t, dir); !sameFiles(first, again) {
		t.Error("a second time changes something")
	}
	if other := devSecrets(t, filepath.Join(t.TempDir(), "secrets")); other["hmac-key"] == first["hmac-key"] || other["gateway.nk"] == first["gateway.nk"] {
		t.Error("two set-ups have the same secrets")
	}
}

func sameFiles(a, b map[string]string) bool {
	for name, content := range a {
		if b[name] != content {
			return false
		}
	}
	return len(a) == len(b)
}

func TestDevSecretsFillWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "secrets")
	first := devSecrets(t, dir)
	for _, gone := range []string{"gateway.nk", "server.pem", "url-token"} {
		if err := os.Remove(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	again := devSecrets(t, dir)
	for name, content := range first {
		switch kept := again[name] == content; name {
		case "gateway.nk", "server.pem", "server-key.pem", "url-token", "roles.conf":
			if kept {
				t.Errorf("%s is the same", name)
			}
		default:
			if !kept {
				t.Errorf("%s is another", name)
			}
		}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(first["ca.pem"])) {
		t.Fatal("the CA cannot be read")
	}
	block, _ := pem.Decode([]byte(again["server.pem"]))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "nats", "nats.fanfare", "nats.fanfare.svc", "nats-1", "nats-2", "nats-3"} {
		if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDevSecretsRefuseWhatIsUnsafe(t *testing.T) {
	t.Parallel()
	holds := func(name string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte("hunter2"), 0o600) }
	}
	for name, test := range map[string]struct {
		ready func(dir string) error
		want  string
	}{
		"a directory of everybody's": {func(dir string) error { return os.Chmod(dir, 0o777) }, "chmod 700"},
		"a seed that is none":        {holds("gateway.nk"), "gateway.nk: this is no nkey seed"},
		"a CA without its key":       {holds("ca.pem"), "read the development CA"},
	} {
		dir := t.TempDir()
		if err := test.ready(dir); err != nil {
			t.Fatal(err)
		}
		p := fanfare(t, "provision", "--dev-secrets", dir)
		if status := p.wait(); status != 1 || !strings.Contains(p.err.String(), test.want) || strings.Contains(p.err.String(), "hunter2") {
			t.Errorf("%s: status %d: %s", name, status, p.err.String())
		}
	}
}
