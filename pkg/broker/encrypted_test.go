package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// encrypted is a way to a server with TLS.
type encrypted struct {
	nats.InProcessConnProvider
	certificate tls.Certificate
}

// newEncrypted makes a way whose certificate ends then.
func newEncrypted(tb testing.TB, server nats.InProcessConnProvider, notAfter time.Time) *encrypted {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	return &encrypted{server, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
}

// InProcessConn implements [nats.InProcessConnProvider].
func (e *encrypted) InProcessConn() (net.Conn, error) {
	plain, err := e.InProcessConnProvider.InProcessConn()
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{e.certificate}})
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
		_ = from.Close()
	}
	go pass(plain, server)
	go pass(server, plain)
	return tls.Client(near, &tls.Config{InsecureSkipVerify: true}), nil // the test looks at the certificate itself
}
