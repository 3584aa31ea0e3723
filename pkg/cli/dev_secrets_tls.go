package cli

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"
)

// Files of the certificates.
const (
	authorityFile    = "ca.pem"
	authorityKeyFile = "ca-key.pem"
	serverFile       = "server.pem"
	serverKeyFile    = "server-key.pem"
)

// authorityTimes is how long certificates are valid.
type authorityTimes struct{ from, until time.Time }

// validNow is ten years from now: a development set-up that stops working on some day
// costs more than it protects. The hour before is for clocks that differ.
func validNow() authorityTimes {
	now := time.Now()
	return authorityTimes{now.Add(-time.Hour), now.AddDate(10, 0, 0)}
}

// serverNames are the names by which NATS servers are called in development, and by
// which they call each other; those with dots are for clients in other namespaces of
// Kubernetes.
func serverNames() []string {
	return []string{"localhost", "nats", "nats.fanfare", "nats.fanfare.svc", "nats-1", "nats-2", "nats-3"}
}

// certificates makes the authority, and a certificate for the servers that it signs.
func (s devSecrets) certificates() error {
	authority := x509.Certificate{
		Subject:               pkix.Name{CommonName: "fanfare development CA"},
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	if err := s.certificate(authorityFile, authorityKeyFile, authority, nil); err != nil {
		return err
	}
	server := x509.Certificate{
		Subject:     pkix.Name{CommonName: "fanfare development NATS server"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, // a route is a client of the other server
		DNSNames:    serverNames(),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	return s.certificate(serverFile, serverKeyFile, server, s.authority)
}

// authority reads the certificate and the key of the authority.
func (s devSecrets) authority() (*x509.Certificate, crypto.PrivateKey, error) {
	pair, err := tls.LoadX509KeyPair(s.path(authorityFile), s.path(authorityKeyFile))
	if err != nil {
		return nil, nil, fmt.Errorf("read the development CA: %w", err)
	}
	return pair.Leaf, pair.PrivateKey, nil
}

// certificate makes a certificate if there is none, signed by its own key if there is
// no signer. The key is written first: a key without a certificate is of nobody, and is
// made anew after an end between the two.
func (s devSecrets) certificate(name, keyName string, template x509.Certificate, signer func() (*x509.Certificate, crypto.PrivateKey, error)) error {
	_, err := os.Stat(s.path(name))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	template.NotBefore, template.NotAfter = s.now.from, s.now.until
	parent, parentKey := &template, crypto.PrivateKey(key)
	if signer != nil {
		if parent, parentKey, err = signer(); err != nil {
			return err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), parentKey)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	if err := s.write(keyName, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})); err != nil {
		return err
	}
	return s.write(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
