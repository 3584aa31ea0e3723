package deploy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"fanfare/deploy/test/eventually"
	"fanfare/deploy/test/programs"
)

// rig is standalone with a reconciler, and beside it a gateway as a process of its own,
// with TLS on both of its sides: its broker is a secured server.
type rig struct {
	standalone, gateway string // operations listeners
	callbacks, nats     string // URLs
}

func startRig(t *testing.T) rig {
	t.Helper()
	fanfare, dir := built.fanfare(t), t.TempDir()
	whole := start(t, fanfare, "standalone", "--data-dir", filepath.Join(dir, "data"),
		"--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0",
		"--store-max-bytes", "268435456", "--egress-allow", "127.0.0.1",
		"--provider-url", ignorantProvider(t), "--provider-key-file", write(t, dir, "key", []byte("a key of the provider's API")))
	r := rig{
		standalone: whole.says(t, `operations +http://([^/]+)/metrics`),
		callbacks:  whole.says(t, `POST (http://[^/]+)/callbacks`),
		nats:       whole.says(t, `subscribe +(nats://\S+)`),
	}

	secured := newNATSRig(t)
	secured.start(t, t.TempDir())
	once(t, fanfare, secured.as("provisioner", "provision", "--store-max-bytes", "268435456")...)
	cert, key := selfSigned(t, dir)
	front := start(t, fanfare, secured.as("gateway", "gateway", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0",
		"--tls-cert-file", cert, "--tls-key-file", key)...)
	r.gateway = front.says(t, `"ops_listen":"([^"]+)"`)
	for _, ops := range []string{r.standalone, r.gateway} {
		eventually.Await(t, ops+" to be ready", func() bool { return get(t, "http://"+ops+"/readyz") != "" })
	}
	return r
}

// traffic sends callbacks for a few seconds, and announces a task whose callback does
// not come.
func (r rig) traffic(t *testing.T) {
	t.Helper()
	fanfare := built.fanfare(t)
	once(t, fanfare, "simulate", "--target", r.callbacks, "--nats-url", r.nats, "--media-listen", "127.0.0.1:0",
		"--tasks", "40", "--rate", "20", "--speed", "100", "--seed", "1", "--no-media-faults")
	once(t, fanfare, "expect", "video", "0123456789abcdef0123456789abcdef", "--submitted-at", "10m", "--nats-url", r.nats)
}

// once runs a program to its end.
func once(t *testing.T, path string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, programs.Tail(string(out)))
	}
}

// ignorantProvider answers that it knows of no such task, whatever it is asked for.
func ignorantProvider(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"code":200,"msg":"success","data":null}`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// selfSigned writes a certificate that nobody checks, and its key.
func selfSigned(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(90 * 24 * time.Hour), DNSNames: []string{"localhost"}}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER})),
		write(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func write(t *testing.T, dir, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startPrometheus starts a Prometheus that scrapes the rig every second under the
// jobs' names of deploy/prometheus, with its rules, and returns its URL.
func startPrometheus(t *testing.T, r rig) string {
	t.Helper()
	rules, err := filepath.Abs("../prometheus/rules")
	if err != nil {
		t.Fatal(err)
	}
	dir, listen := t.TempDir(), freeAddr(t)
	config := write(t, dir, "prometheus.yml", fmt.Appendf(nil, `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - {job_name: standalone, static_configs: [{targets: [%q]}]}
  - {job_name: gateway, static_configs: [{targets: [%q]}]}
`, rules+"/*.yml", r.standalone, r.gateway))
	start(t, built.prometheus(t), "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen)
	url := "http://" + listen
	eventually.Await(t, "Prometheus to be ready", func() bool { return get(t, url+"/-/ready") != "" })
	eventually.Await(t, "both to be scraped", func() bool { return evaluate(t, url, "up == 1") == 2 })
	return url
}
