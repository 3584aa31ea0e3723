package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/deploy/test/programs"
)

// natsRig is a NATS server as deploy/nats/secure.conf has it, on an address of its own,
// and what clients need to reach it.
type natsRig struct {
	dir     string // the configuration, in place of /etc/nats
	addr    string
	monitor string // where it is monitored
}

func newNATSRig(t *testing.T) *natsRig {
	t.Helper()
	_, port, _ := strings.Cut(freeAddr(t), ":")
	r := &natsRig{dir: t.TempDir(), addr: "localhost:" + port, monitor: freeAddr(t)}
	once(t, built.fanfare(t), "provision", "--dev-secrets", r.secret(""))
	return r
}

func (r *natsRig) url() string               { return "tls://" + r.addr }
func (r *natsRig) secret(name string) string { return filepath.Join(r.dir, "secrets", name) }

// start starts the server on a store.
func (r *natsRig) start(t *testing.T, store string) *process {
	t.Helper()
	replace := strings.NewReplacer("0.0.0.0:4222", r.addr, "http: 127.0.0.1:8222", "http: "+r.monitor, "store_dir: /data", "store_dir: "+store, "/etc/nats", r.dir)
	server := startNATS(t, r.dir, "secure.conf", replace)
	server.says(t, `(Server is ready)`)
	return server
}

// startNATS starts a server as one of deploy/nats's files has it, but for what is replaced, in place of /etc/nats.
func startNATS(t *testing.T, dir, main string, replace *strings.Replacer) *process {
	t.Helper()
	for _, name := range []string{main, "base.conf", "accounts.conf"} {
		write(t, dir, name, []byte(replace.Replace(string(read(t, "../nats/"+name)))))
	}
	return start(t, built.natsServer(t), "-c", filepath.Join(dir, main))
}

// as are the arguments of a command of fanfare's with a role.
func (r *natsRig) as(role string, args ...string) []string {
	return append(args, "--nats-url", r.url(), "--nats-ca-file", r.secret("ca.pem"), "--nats-nkey-file", r.secret(role+".nk"))
}

// inbox is the prefix of a role's inboxes.
func (r *natsRig) inbox(t *testing.T, role string) string {
	t.Helper()
	match := regexp.MustCompile(strings.ToUpper(role) + `_INBOX: "(_INBOX\.\w+)\.>"`).FindSubmatch(read(t, r.secret("roles.conf")))
	if match == nil {
		t.Fatalf("roles.conf has no inbox of %s", role)
	}
	return string(match[1])
}

// save runs the line that saves a role's connection.
func (r *natsRig) save(t *testing.T, sh *shell, role, line string) {
	t.Helper()
	said := strings.Count(line, "tls://nats:4222") + strings.Count(line, "_INBOX.U…")
	if said != 2 {
		t.Fatalf("%s: it has other placeholders", line)
	}
	sh.run(t, strings.NewReplacer("tls://nats:4222", r.url(), "_INBOX.U…", r.inbox(t, role)).Replace(line))
}

// operator connects a client with the role that may read everything.
func (r *natsRig) operator(t *testing.T) jetstream.JetStream {
	t.Helper()
	nkey, err := nats.NkeyOptionFromSeed(r.secret("operator.nk"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(r.url(), nkey, nats.RootCAs(r.secret("ca.pem")), nats.CustomInboxPrefix(r.inbox(t, "operator")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// shell is where lines of the README are run: fanfare and nats are on the path, and
// what nats remembers stays in dir.
type shell struct {
	dir string
	env []string
}

func newShell(t *testing.T, env ...string) *shell {
	t.Helper()
	s := &shell{dir: t.TempDir()}
	path := filepath.Dir(built.fanfare(t))
	built.nats(t)
	s.env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	s.env = append(s.env, env...)
	return s
}

func (s *shell) command(t *testing.T, line string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", line)
	command.WaitDelay = patience // for what it started, and left
	command.Dir, command.Env = s.dir, s.env
	return command
}

// try runs a line, and returns what it printed.
func (s *shell) try(t *testing.T, line string) (string, error) {
	t.Helper()
	out, err := s.command(t, line).CombinedOutput()
	t.Logf("$ %s\n%s", line, programs.Tail(string(out)))
	return string(out), err
}

// run is try for what must succeed.
func (s *shell) run(t *testing.T, line string) string {
	t.Helper()
	out, err := s.try(t, line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return out
}

// readmeLines returns the lines of the shell that stand in a section of the README and
// begin like this.
func readmeLines(t *testing.T, heading, prefix string) (lines []string) {
	t.Helper()
	_, section, found := strings.Cut(string(read(t, root+"/README.md")), "\n"+heading+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	section = regexp.MustCompile(`(?m)^#{1,`+string(rune('0'+len(level)))+`} `).Split(section, 2)[0]
	for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?\n)```\n").FindAllStringSubmatch(section, -1) {
		for line := range strings.Lines(block[1]) {
			if strings.HasPrefix(line, prefix) {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}
