package cli_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"fanfare/pkg/eventually"
)

// Every secret begins with canary, and would be noticed wherever it or a part of
// it appeared. What a callback says holds payload: it may be shown to those who
// ask for it, and is no business of the log's.
const (
	canary         = "CANARY"
	canaryKey      = canary + "-key-of-the-provider"
	canaryToken    = canary + "_token_in_the_callback_URL"
	canaryPassword = canary + "-password-of-the-NATS-server"
	payload        = "PAYLOAD"
)

// spellings are the ways in which a word might be shown.
func spellings(word string) []string {
	bytes := []byte(word)
	return []string{word, base64.StdEncoding.EncodeToString(bytes)[:len(word)/3*4], hex.EncodeToString(bytes), strings.Trim(fmt.Sprintf("%d", bytes), "[]")}
}

// vault holds secrets in files, and in the environment of what it runs.
type vault struct {
	tb                                        testing.TB
	dir, listen, ops, nats                    string
	keyFile, tokenFile, certFile, certKeyFile string
	broken                                    string // a TLS key that is none any more
	env                                       []string
	secret, said                              []string // what must not be seen
	processes                                 []*process
	client                                    *http.Client
}

func newVault(tb testing.TB) *vault {
	tb.Helper()
	v := &vault{
		tb: tb, dir: tb.TempDir(), listen: freeAddr(tb), ops: freeAddr(tb), nats: freeAddr(tb),
		secret: spellings(canary), said: spellings(payload),
	}
	v.keyFile, v.tokenFile = v.file("key", canaryKey+"\n"), v.file("token", canaryToken+"\n")
	v.certificate()
	v.env = []string{
		v.natsURL(canaryPassword),
		"FANFARE_HMAC_KEY_FILE=" + v.keyFile, "FANFARE_URL_TOKEN_FILE=" + v.tokenFile,
		"FANFARE_TLS_CERT_FILE=" + v.certFile, "FANFARE_TLS_KEY_FILE=" + v.certKeyFile,
		"FANFARE_LISTEN=" + v.listen, "FANFARE_OPS_LISTEN=" + v.ops, "FANFARE_MEDIA_LISTEN=127.0.0.1:0",
	}
	return v
}

func (v *vault) natsURL(password string) string {
	return "FANFARE_NATS_URL=nats://svc:" + password + "@" + v.nats
}

func (v *vault) file(name, content string) (path string) {
	v.tb.Helper()
	path = filepath.Join(v.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		v.tb.Fatal(err)
	}
	return path
}

// certificate makes a certificate, its key, and a client that trusts it.
func (v *vault) certificate() {
	v.tb.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	v.tb.Cleanup(server.Close)
	v.client = server.Client()
	pair := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		v.tb.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	lines := strings.Split(key, "\n")
	v.secret = append(v.secret, lines[1:len(lines)-2]...)
	v.certKeyFile = v.file("cert-key", canary+"\n"+key)
	v.broken = strings.Replace(key, lines[2], "", 1)
	v.certFile = v.file("cert", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
}

// run starts the program with the secrets in its environment, env after them.
func (v *vault) run(env []string, args ...string) *process {
	v.tb.Helper()
	line := append(append(append([]string{}, v.env...), env...), built.fanfare())
	p := launch(v.tb, "env", append(line, args...)...) // which becomes the program
	p.name, v.processes = strings.Join(args, " "), append(v.processes, p)
	return p
}

// ends waits for a program that ends with a status and the words why.
func (v *vault) ends(want int, why string, env []string, args ...string) {
	v.tb.Helper()
	p := v.run(env, args...)
	if status := p.wait(); status != want || !strings.Contains(p.out.String()+p.err.String(), why) {
		v.tb.Errorf("%q: status %d, want %d and %q: %s", args, status, want, why, tail(p.err.String()))
	}
}

// startNATS starts a server that asks for a password.
func (v *vault) startNATS(password string) *process {
	v.tb.Helper()
	config := fmt.Sprintf("listen: %q\nmax_payload: 1179648\njetstream { store_dir: %q }\nauthorization { user: svc, password: %q }\n",
		v.nats, filepath.Join(v.dir, "store"), password)
	p := launch(v.tb, built.natsServer(), "-c", v.file("server.conf", config))
	eventually.Await(v.tb, "NATS server up", func() bool { return strings.Contains(p.err.String(), "Server is ready") })
	return p
}

func (v *vault) unseen(where, text string, words ...string) {
	v.tb.Helper()
	for _, word := range words {
		if i := strings.Index(text, word); i >= 0 {
			v.tb.Errorf("%s shows %q: …%s…", where, word, text[max(0, i-200):min(len(text), i+len(word)+100)])
		}
	}
}

// check looks through all that the programs wrote.
func (v *vault) check() {
	v.tb.Helper()
	for _, p := range v.processes {
		if !strings.HasPrefix(p.name, "url ") { // which is there to show the token
			v.unseen("stdout of "+p.name, p.out.String(), v.secret...)
		}
		v.unseen("stderr of "+p.name, p.err.String(), append(v.said, v.secret...)...)
	}
}

// ask sends one request and looks through the answer, header and body.
func (v *vault) ask(method, url string, header map[string]string, body string) (status int) {
	v.tb.Helper()
	request, err := http.NewRequestWithContext(v.tb.Context(), method, url, strings.NewReader(body))
	if err != nil {
		v.tb.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.tb.Fatal(err)
	}
	answer, err := httputil.DumpResponse(response, true)
	if _ = response.Body.Close(); err != nil {
		v.tb.Fatal(err)
	}
	v.unseen("the answer to "+method+" "+url, string(answer), append(v.said, v.secret...)...)
	return response.StatusCode
}

// operations looks at all that operators are shown.
func (v *vault) operations(addresses ...string) {
	v.tb.Helper()
	for _, address := range addresses {
		for _, path := range []string{"metrics", "healthz", "readyz", "openapi.yaml", "asyncapi.yaml", "debug/pprof/", "debug/pprof/cmdline", "debug/pprof/goroutine?debug=2"} {
			if status := v.ask(http.MethodGet, "http://"+address+"/"+path, nil, ""); status != http.StatusOK && path != "readyz" {
				v.tb.Errorf("%s: answered %d", path, status)
			}
		}
	}
}

// signed is how the provider signs.
func signed(key, id string) map[string]string {
	now := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(mac, id+"."+now)
	return map[string]string{
		"Content-Type": "application/json", "User-Agent": payload, "Authorization": "Bearer " + payload,
		"X-Webhook-Timestamp": now, "X-Webhook-Signature": base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
}

func finished(id, url, more string) string {
	return fmt.Sprintf(`{"code":200,"msg":"`+payload+`","data":{"task_id":%q,"audioWavUrl":%q,"title":"`+payload+`"%s}}`, id, url, more)
}

// post sends a good callback.
func (v *vault) post(want int, id, media string) {
	v.tb.Helper()
	url := "https://" + v.listen + "/callbacks/wav/" + canaryToken
	if status := v.ask(http.MethodPost, url, signed(canaryKey, id), finished(id, media, "")); status != want {
		v.tb.Errorf("%s: answered %d, want %d", media, status, want)
	}
}

// call sends requests of every kind, at least one to each answer.
func (v *vault) call(base string) {
	v.tb.Helper()
	const media = "http://127.0.0.1:1/a.wav?sig=" + payload
	url, good := base+"/callbacks/wav/", signed(canaryKey, "t1")
	for name, row := range map[string]struct {
		method, url string
		header      map[string]string
		body        string
		want        int
	}{
		"good":               {"POST", url + canaryToken, good, finished("t1", media, ""), 200},
		"contradicting":      {"POST", url + canaryToken + "?" + payload, good, finished("t1", media+"2", ""), 200},
		"unsigned":           {"POST", url + canaryToken, map[string]string{"Content-Type": "application/json"}, finished("t1", media, ""), 401},
		"wrongly signed":     {"POST", url + canaryToken, signed(payload, "t1"), finished("t1", media, ""), 401},
		"no signature":       {"POST", url + canaryToken, map[string]string{"Content-Type": "application/json", "X-Webhook-Timestamp": payload, "X-Webhook-Signature": payload}, "{}", 401},
		"no token":           {"POST", base + "/callbacks/wav", good, finished("t1", media, ""), 404},
		"wrong token":        {"POST", url + payload + "?" + canaryToken, good, finished("t1", media, ""), 404},
		"token and more":     {"POST", url + canaryToken + "/", good, finished("t1", media, ""), 404},
		"token of nothing":   {"POST", base + "/" + canaryToken, good, finished("t1", media, ""), 404},
		"another method":     {"PUT", url + canaryToken, good, finished("t1", media, ""), 405},
		"another media type": {"POST", url + canaryToken, map[string]string{"Content-Type": payload}, "", 415},
		"too large":          {"POST", url + canaryToken, good, strings.Repeat(payload, 200_000), 413},
		"malformed":          {"POST", url + canaryToken, good, payload, 400},
		"a name twice":       {"POST", url + canaryToken, good, finished("t1", media, `,"`+payload+`":1,"`+payload+`":2`), 400},
		"a bad URL":          {"POST", url + canaryToken, good, finished("t1", "ftp://"+payload, ""), 400},
		"a bad task ID":      {"POST", url + canaryToken, good, finished("/"+payload, media, ""), 400},
		"another type":       {"POST", url + canaryToken, good, `{"code":"` + payload + `","msg":"","data":{"task_id":"t1"}}`, 400},
	} {
		if status := v.ask(row.method, row.url, row.header, row.body); status != row.want {
			v.tb.Errorf("%s: answered %d, want %d", name, status, row.want)
		}
	}
}

// media serves one file, and fails in every way that a path names.
func (v *vault) media() *httptest.Server {
	media := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			_, _ = w.Write([]byte("RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x44\xac\x00\x00\x88\x58\x01\x00\x02\x00\x10\x00data\x00\x00\x00\x00"))
		case "/elsewhere":
			http.Redirect(w, r, "http://127.0.0.1:1/?sig="+payload, http.StatusFound)
		case "/nowhere":
			http.Redirect(w, r, "ftp://user:"+payload+"@127.0.0.1/?sig="+payload, http.StatusFound)
		case "/short":
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, payload)
		case "/echo":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = fmt.Fprintf(conn, "%s\r\n\r\n", r.RequestURI)
				_ = conn.Close()
			}
		default:
			http.Error(w, r.RequestURI, http.StatusForbidden)
		}
	}))
	v.tb.Cleanup(media.Close)
	return media
}

// fetch lets a consumer fetch from media, and from where nobody is or may be.
func (v *vault) fetch(consumer *process, media string) {
	v.tb.Helper()
	for i, at := range []string{
		media + "/good", media + "/elsewhere", media + "/nowhere", media + "/short", media + "/echo", media + "/forbidden",
		"https" + strings.TrimPrefix(media, "http") + "/tls", "http://127.0.0.1:1/refused",
	} {
		id := fmt.Sprint("fetch", i)
		v.post(http.StatusOK, id, at+"?sig="+payload)
		eventually.Await(v.tb, "delivery of "+at, func() bool { return strings.Contains(consumer.err.String(), `"task_id":"`+id+`"`) })
	}
}

// spoil makes every file unusable while they are in use, each in its own way.
func (v *vault) spoil(gateway *process) {
	v.tb.Helper()
	for _, row := range []struct{ file, content, want string }{
		{"key", "", "key is empty"},
		{"key", strings.Repeat(canary, 20_000), "larger than 64 KiB"},
		{"token", canary + "/\n", "a URL token holds"},
		{"cert-key", canary, "failed to find any PEM data in key"},
		{"cert-key", v.broken, "failed to parse private key"},
		{"cert", v.broken, "inputs may have been switched"},
	} {
		v.file(row.file, row.content)
		if err := gateway.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			v.tb.Fatal(err)
		}
		eventually.Await(v.tb, "the log says "+row.want, func() bool { return strings.Contains(gateway.err.String(), row.want) })
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	v, consumerOps := newVault(t), freeAddr(t)
	server, media := v.startNATS(canaryPassword), v.media()
	v.ends(0, "provisioned", nil, "provision", "--log-level", "debug", "--store-max-bytes", "1000000000")
	gateway := v.run(nil, "gateway", "--log-level", "debug")
	consumer := v.run(nil, "consumer", "wav", "--log-level", "debug", "--ops-listen", consumerOps, "--egress-allow", media.Listener.Addr().String())
	awaitReady(t, v.ops)
	awaitReady(t, consumerOps)

	v.call("https://" + v.listen)
	v.fetch(consumer, media.URL)
	v.ends(0, "/callbacks/wav/"+canaryToken, nil, "url", "wav")
	v.ends(0, `"ready":true`, nil, "health")
	v.ends(0, "conflict", nil, "quarantine", "list")
	v.ends(0, "conflict", nil, "quarantine", "list", "--json")
	v.ends(1, "missing", nil, "simulate", "--target", "https://"+v.listen, "--tasks", "2", "--rate", "100", "--speed", "1000000", "--settle", "1s", "--log-level", "debug")
	follower := v.run(nil, "tail", "--since", "all", "--log-level", "debug")
	eventually.Await(t, "a callback followed", func() bool { return strings.Contains(follower.out.String(), "callbacks.wav.") })
	v.operations(v.ops, consumerOps)
	v.spoil(gateway)

	server.signal(syscall.SIGTERM)
	v.post(http.StatusServiceUnavailable, "late", "http://127.0.0.1:1/")
	v.ends(1, "not ready", nil, "health")
	v.startNATS("another password")
	for _, p := range []*process{gateway, consumer, follower} {
		eventually.Await(t, "refused by the server: "+p.name, func() bool { return strings.Contains(p.err.String(), "uthorization") })
	}
	v.operations(v.ops, consumerOps)
	for _, args := range []string{"provision", "tail", "quarantine list", "quarantine delete 1", "simulate"} {
		v.ends(1, "uthorization", nil, append(strings.Fields(args), "--log-level", "debug")...)
	}
	if n := strings.Count(gateway.err.String(), "secret is short"); n > 20 {
		t.Errorf("the log says %d times that the secret is short which it does not use", n)
	}
	follower.signal(syscall.SIGINT)
	gateway.signal(syscall.SIGTERM)
	consumer.signal(syscall.SIGQUIT) // which lets Go tell where everything is
	v.check()
}

// TestRefusalsDoNotShowSecrets starts what must not start.
func TestRefusalsDoNotShowSecrets(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.startNATS(canaryPassword)
	v.ends(0, "provisioned", nil, "provision", "--store-max-bytes", "1000000000")
	large := v.file("large", strings.Repeat(canary, 20_000))
	empty, slash, broken := v.file("empty", "\n"), v.file("slash", canary+"/"), v.file("broken", v.broken)
	for _, row := range []struct{ args, env, want string }{
		{"gateway", "HMAC_KEY_FILE=" + v.dir + "/nowhere," + v.keyFile, "no such file"},
		{"gateway", "HMAC_KEY_FILE=" + v.dir, "is a directory"}, // as unreadable as can be, for root too
		{"gateway", "HMAC_KEY_FILE=" + empty, "is empty"},
		{"gateway", "HMAC_KEY_FILE=" + large, "larger than 64 KiB"},
		{"gateway", "URL_TOKEN_FILE=" + slash, "a URL token holds"},
		{"gateway", "TLS_KEY_FILE=" + slash, "failed to find any PEM data"},
		{"gateway", "TLS_KEY_FILE=" + broken, "failed to parse private key"},
		{"gateway", "TLS_CERT_FILE=" + v.certKeyFile, "inputs may have been switched"},
		{"provision", "NATS_NKEY_FILE=" + slash, "read nkey seed"},
		{"provision", "NATS_CREDS=" + slash, "connect to"},
		{"provision", "NATS_CA_FILE=" + slash, "connect to"},
		{"url wav", "URL_TOKEN_FILE=" + slash, "a URL token holds"},
		{"url wav", "URL_TOKEN_FILE=" + v.dir, "is a directory"},
		{"simulate", "HMAC_KEY_FILE=" + empty, "is empty"},
		{"simulate", "TARGET=http://svc:" + canaryPassword + "@127.0.0.1:1/?" + payload, "Target is not"},
		{"standalone --nats-listen off --store-max-bytes 100000000", "HMAC_KEY_FILE=" + empty, "is empty"},
	} {
		v.ends(1, row.want, []string{"FANFARE_" + row.env}, strings.Fields(row.args)...)
	}
	for _, password := range []string{canary + "%", canary + "/x", canary + "#" + canary, canary + " " + canary, canary + "@" + canary, canary + "," + canary, canary + "@[", canary + "\n"} {
		for _, command := range []string{"provision", "gateway --hmac-key-file " + empty} {
			v.ends(1, "", []string{v.natsURL(password)}, strings.Fields(command)...)
		}
	}
	v.ends(1, "", []string{strings.Replace(v.natsURL(canary), "@", "", 1)}, "tail") // whoever forgets it has still a password there
	v.check()
}

// TestHelpDoesNotShowTheEnvironment asks every command that there is.
func TestHelpDoesNotShowTheEnvironment(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.ends(0, "Commands:", nil, "--help")
	_, commands, _ := strings.Cut(v.processes[0].out.String(), "Commands:\n")
	for line := range strings.Lines(commands) {
		if words := strings.Fields(line); strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") {
			path := words[:slices.IndexFunc(words, func(w string) bool { return strings.ContainsAny(w, "<[") })]
			v.ends(0, "Usage: fanfare "+strings.Join(path, " "), nil, append(path, "--help")...)
			v.ends(80, "unknown flag", nil, append(path, "--nonsense")...)
		}
	}
	if asked := len(v.processes) / 2; asked < 10 {
		t.Errorf("only %d commands found in:\n%s", asked, commands)
	}
	v.check()
}
