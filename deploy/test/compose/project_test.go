package compose_test

import (
	"context"
	"crypto/rand"
	"io"
	"maps"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// project is one of the compose files, brought up beside whatever else runs on this machine.
type project struct {
	name, file string
	env        []string
}

// publicURL is how the provider is said to reach a project.
const publicURL = "https://fanfare.invalid"

// newProject readies a project. With the test its containers, networks and volumes end; if it failed, their last logs
// are told before.
func newProject(t *testing.T, file string) project {
	t.Helper()
	needEngine(t)
	network, err := rand.Int(rand.Reader, big.NewInt(200))
	if err != nil {
		t.Fatal(err)
	}
	proxied := t.TempDir()
	if err := behindProxy(proxied); err != nil {
		t.Fatal(err)
	}
	p := project{
		name: "fanfare-test-" + strings.ToLower(rand.Text()[:8]),
		file: file,
		env: []string{
			"COMPOSE_PROGRESS=plain", "FANFARE_PORT=0", "PROMETHEUS_PORT=0", "GRAFANA_PORT=0", "NATS_PORT=0", "VERSION=" + docker.version,
			"FANFARE_SIMULATED_NET=198.19." + strconv.FormatInt(network.Int64(), 10), // its default is a developer's
			"FANFARE_PUBLIC_URL=" + publicURL, "DOCKER_CONFIG=" + proxied,
		},
	}
	t.Cleanup(func() {
		if t.Failed() {
			states, _ := p.try(brief, "ps", "--all")
			logs, _ := p.try(brief, "logs", "--tail", "15")
			t.Logf("%s\n%s", states, logs)
		}
		if _, err := p.try(patience, "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20"); err != nil {
			t.Error(err)
		}
	})
	return p
}

// try runs compose.
func (p project) try(limit time.Duration, args ...string) (string, error) {
	return docker.run(limit, p.env, append([]string{"--file", root + "/" + p.file, "--project-name", p.name}, args...)...)
}

// compose runs compose, and wants it to succeed.
func (p project) compose(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.try(patience, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// container returns the name of a copy of a service.
func (p project) container(service string, number int) string {
	return p.name + "-" + service + "-" + strconv.Itoa(number)
}

// url returns how a port of a service is reached from here.
func (p project) url(t *testing.T, service string, port int) string {
	t.Helper()
	return "http://" + p.compose(t, "port", service, strconv.Itoa(port))
}

// post sends a callback with these headers more, on a connection of its own, and returns the status of its answer.
func post(ctx context.Context, url, body string, more http.Header) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	maps.Copy(request.Header, more)
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	answer, err := (&http.Client{Timeout: 15 * time.Second}).Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode, err
}
