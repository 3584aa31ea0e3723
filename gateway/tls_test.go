package gateway_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fanfare/gateway"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// newCertificate writes a self-signed certificate of that serial number, and its
// key.
func newCertificate(tb testing.TB, certFile, keyFile string, serial int64) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Unix(4102444800+serial, 0),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	writeSecret(tb, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	writeSecret(tb, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func TestTLSCertificateIsReloaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	newCertificate(t, certFile, keyFile, 1)
	r := start(t, natstest.Broker(t), func(o *gateway.Options) { o.TLSCertFile, o.TLSKeyFile = certFile, keyFile })
	dial := func() *tls.Conn {
		dialer := tls.Dialer{Config: &tls.Config{
			InsecureSkipVerify: true, // the test looks at the certificate itself
			NextProtos:         []string{"h2", "http/1.1"},
		}}
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn.(*tls.Conn)
	}
	serial := func(c *tls.Conn) int64 { return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64() }
	post := func(c *tls.Conn) {
		t.Helper()
		if _, err := io.WriteString(c, strings.Replace(sent{body: goodWAV}.raw(), "Connection: close\r\n", "", 1)); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("answered %d", response.StatusCode)
		}
	}
	first := dial()
	if protocol := first.ConnectionState().NegotiatedProtocol; serial(first) != 1 || protocol != "http/1.1" {
		t.Errorf("certificate %d, protocol %q", serial(first), protocol)
	}
	post(first)

	newCertificate(t, certFile, keyFile, 2)
	eventually.Await(r.tb, "the new certificate", func() bool { return serial(dial()) == 2 })
	post(first) // the connection that was there goes on
	if at := r.gauge("fanfare_tls_certificate_not_after_seconds"); at != 4102444802 {
		t.Errorf("the metric says %v", at)
	}

	writeSecret(t, certFile, "nonsense")
	<-time.After(time.Second) // two looks at the file
	last := dial()
	if serial(last) != 2 {
		t.Errorf("after a bad file: certificate %d", serial(last))
	}
	post(last)
}
