package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// certificate parses a certificate chain and its key, both PEM.
func certificate(contents [][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return nil, fmt.Errorf("certificate and key: %w", err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
	}
	return &pair, nil
}

// tlsConfig serves HTTP/1.1 with whatever certificate is current at a handshake.
func tlsConfig(current *reloaded[*tls.Certificate]) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.get(), nil },
	}
}

// exposeExpiry tells Prometheus when the current certificate ends.
func exposeExpiry(reg prometheus.Registerer, current *reloaded[*tls.Certificate]) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fanfare_tls_certificate_not_after_seconds",
		Help: "When the TLS certificate in use ends, in seconds since the epoch.",
	}, func() float64 { return float64(current.get().Leaf.NotAfter.Unix()) })
}
