package compose_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bringKey puts a key of signatures in as the README says, from a file as an ordinary user keeps a secret, and returns
// it.
func (s stack) bringKey(t *testing.T) []byte {
	t.Helper()
	key := rand.Text()
	path := filepath.Join(t.TempDir(), "your-hmac-key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(path, 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	s.compose(t, "cp", path, "secrets:/secrets/hmac-key")
	s.compose(t, "up", "--wait")
	return []byte(key)
}

// checkSecrets wants each process to be able to read its own secrets and nobody else's.
func (s stack) checkSecrets(t *testing.T) {
	t.Helper()
	var config struct {
		Services map[string]struct {
			Groups []string `json:"group_add"`
		}
	}
	decode(t, s.compose(t, "--profile", "*", "config", "--format", "json"), &config)
	for service, want := range map[string]string{
		"nats-1":     "ca.pem roles.conf server-key.pem server.pem",
		"gateway":    "ca.pem gateway.nk hmac-key url-token",
		"music":      "ca.pem consumer-music.nk",
		"video":      "ca.pem consumer-video.nk",
		"wav":        "ca.pem consumer-wav.nk",
		"cover":      "ca.pem consumer-cover.nk",
		"reconciler": "ca.pem reconciler.nk",
		"provision":  "ca.pem provisioner.nk",
		"simulate":   "ca.pem hmac-key operator.nk url-token",
	} {
		s.checkReadable(t, service, config.Services[service].Groups, want)
	}
	s.checkReadable(t, "a service of the user's own", []string{"65610"}, "ca.pem subscriber.nk")
	s.checkReadable(t, "who makes backups", []string{"65612"}, "backup.nk ca.pem")
}

// checkReadable wants a member of these groups to be able to read these secrets and no others.
func (s stack) checkReadable(t *testing.T, who string, groups []string, want string) {
	t.Helper()
	args := []string{"run", "--rm", "--network", "none", "--cap-drop", "ALL", "--user", "65532:65532", "--volume", s.name + "_secrets:/secrets:ro"}
	for _, group := range groups {
		args = append(args, "--group-add", group)
	}
	const script = `cd /secrets; for file in ca.pem ca-key.pem server.pem server-key.pem roles.conf url-token hmac-key gateway.nk consumer-music.nk ` +
		`consumer-video.nk consumer-wav.nk consumer-cover.nk reconciler.nk subscriber.nk operator.nk provisioner.nk backup.nk; ` +
		`do [ -e $file ] || echo no $file; ! cat $file >/dev/null 2>&1 || echo $file; done`
	can := strings.Fields(ask(t, append(args, "--entrypoint", "/bin/sh", docker.image(t, "nats"), "-c", script)...))
	slices.Sort(can)
	if is := strings.Join(can, " "); is != want {
		t.Errorf("%s can read %s, want %s", who, is, want)
	}
}

// checkPortOfNATS asks NATS from this machine, with secrets that are taken out as the README says.
func (s stack) checkPortOfNATS(t *testing.T, taskID, want string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "fanfare")
	if err := os.WriteFile(program, layers(t)["fanfare"], 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.pem", "operator.nk"} {
		s.compose(t, "cp", "secrets:/secrets/"+name, dir)
	}
	_, port, _ := strings.Cut(s.compose(t, "port", "nats-1", "4222"), ":")
	told, err := command(brief, nil, program, "explain", taskID, "--nats-url", "tls://localhost:"+port,
		"--nats-ca-file", filepath.Join(dir, "ca.pem"), "--nats-nkey-file", filepath.Join(dir, "operator.nk"))
	if err != nil || !strings.Contains(told, want) {
		t.Errorf("%v: %s", err, told)
	}
}
