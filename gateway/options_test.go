package gateway_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/gateway"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

func TestListeningBeyondLoopbackNeedsPermission(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	b := natstest.Broker(t)
	for listen, refused := range map[string]bool{
		"127.0.0.1:0":  false,
		"localhost:0":  false,
		"[::1]:0":      false,
		"0.0.0.0:0":    true,
		":0":           true,
		"[::]:0":       true,
		"192.0.2.1:80": true,
	} {
		t.Run(listen, func(t *testing.T) {
			t.Parallel()
			_, err := gateway.New(gateway.Options{
				Logger:     natstest.Logger(t),
				Registerer: prometheus.NewRegistry(),
				Contracts:  contracts,
				Store:      b,
				Listen:     listen,
			})
			got := err != nil && strings.Contains(err.Error(), "--allow-unauthenticated")
			if got != refused {
				t.Errorf("refused: %v (%v), want %v", got, err, refused)
			}
		})
	}
}

func TestOptionsNameWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := gateway.New(gateway.Options{})
	if err == nil || !strings.Contains(err.Error(), "Logger") {
		t.Errorf("got %v", err)
	}
}
