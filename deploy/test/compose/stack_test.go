package compose_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestStack brings the whole stack up, looks at it, and plays the provider against it: first in peace, then in trouble.
// In the end every archived file is what its result says.
func TestStack(t *testing.T) {
	t.Parallel()
	s := stack{newProject(t, "docker-compose.yml")}
	s.compose(t, "up", "--wait")
	s.checkReplicas(t)
	s.checkSecrets(t)
	s.checkPrometheus(t, 7)
	s.checkStopOfGateway(t)
	s.simulate(t, "--seed", "1", "--no-media-faults").ends(t)
	s.troubled(t)
	s.checkPrometheus(t, 9)
	t.Log(s.compose(t, "run", "--rm", "--no-TTY", "operator", "archive", "verify"))
}

// stack is docker-compose.yml, brought up.
type stack struct{ project }

// monitored returns what a NATS server says of itself.
func (s stack) monitored(t *testing.T, server, path string, into any) {
	t.Helper()
	out := s.compose(t, "exec", "--no-TTY", server, "wget", "-q", "-O", "-", "http://127.0.0.1:8222"+path)
	decode(t, out, into)
}

// checkReplicas wants three copies of each stream.
func (s stack) checkReplicas(t *testing.T) {
	t.Helper()
	var jsz struct {
		Accounts []struct {
			Streams []struct {
				Name   string
				Config struct {
					Replicas int `json:"num_replicas"`
				}
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	s.monitored(t, "nats-1", "/jsz?streams=true&config=true", &jsz)
	if len(jsz.Accounts) != 1 || len(jsz.Accounts[0].Streams) != 6 {
		t.Fatalf("%+v", jsz)
	}
	for _, stream := range jsz.Accounts[0].Streams {
		if stream.Config.Replicas != 3 {
			t.Errorf("%s has %d copies", stream.Name, stream.Config.Replicas)
		}
	}
}

// checkSecrets wants each process to be able to read its own secrets and nobody else's.
func (s stack) checkSecrets(t *testing.T) {
	t.Helper()
	var config struct {
		Services map[string]struct {
			User   string
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
		args := []string{"run", "--rm", "--network", "none", "--cap-drop", "ALL", "--user", "65532:65532", "--volume", s.name + "_secrets:/secrets:ro"}
		for _, group := range config.Services[service].Groups {
			args = append(args, "--group-add", group)
		}
		const script = `cd /secrets; for file in ca.pem ca-key.pem server.pem server-key.pem roles.conf url-token hmac-key gateway.nk ` +
			`consumer-music.nk consumer-video.nk consumer-wav.nk consumer-cover.nk reconciler.nk subscriber.nk operator.nk provisioner.nk; ` +
			`do [ -e $file ] || echo no $file; ! cat $file >/dev/null 2>&1 || echo $file; done`
		can := strings.Fields(ask(t, append(args, "--entrypoint", "/bin/sh", docker.image(t, "nats"), "-c", script)...))
		slices.Sort(can)
		if is := strings.Join(can, " "); is != want {
			t.Errorf("%s can read %s, want %s", service, is, want)
		}
	}
}

// checkPrometheus wants so many targets, all of them up, and rules that work.
func (s stack) checkPrometheus(t *testing.T, want int) {
	t.Helper()
	type answer struct {
		Data struct {
			Targets []struct{ Health string } `json:"activeTargets"`
			Groups  []struct {
				Rules []struct{ Name, Health string }
			}
		}
	}
	prometheus := s.url(t, "prometheus", 9090)
	await(t, strconv.Itoa(want)+" targets to be up", func() bool {
		var is answer
		up := 0
		decode(t, get(t, prometheus+"/api/v1/targets"), &is)
		for _, target := range is.Data.Targets {
			if target.Health == "up" {
				up++
			}
		}
		return up == want && len(is.Data.Targets) == want
	})
	await(t, "all rules to work", func() bool {
		var is answer
		rules, well := 0, 0
		decode(t, get(t, prometheus+"/api/v1/rules"), &is)
		for _, group := range is.Data.Groups {
			for _, rule := range group.Rules {
				rules++
				if rule.Health == "ok" {
					well++
				}
			}
		}
		return rules > 20 && well == rules
	})
}

// get returns the body of an answer.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// checkStopOfGateway calls without a pause while a gateway is stopped and started again, and wants every call to be
// answered. They are not signed, so 401 is the gateway's answer.
func (s stack) checkStopOfGateway(t *testing.T) {
	t.Helper()
	url := strings.Replace(s.compose(t, "run", "--rm", "--no-TTY", "operator", "url", "wav"), "http://127.0.0.1:0", s.url(t, "haproxy", 8080), 1)
	ctx, cancel := context.WithCancel(t.Context())
	calls := make(chan int)
	go func() {
		answered := 0
		defer func() { calls <- answered }()
		for ctx.Err() == nil {
			status, err := post(context.WithoutCancel(ctx), url, "{}")
			if err != nil || status != http.StatusUnauthorized {
				t.Errorf("while a gateway is stopped: %d, %v", status, err)
				return
			}
			answered++
		}
	}()
	ask(t, "stop", s.container("gateway", 1))
	ask(t, "start", s.container("gateway", 1))
	s.awaitHealthy(t, "gateway", 1)
	cancel()
	t.Logf("%d calls were answered while a gateway was stopped and started", <-calls)
}

func (s stack) awaitHealthy(t *testing.T, service string, number int) {
	t.Helper()
	await(t, service+" to be healthy", func() bool {
		return ask(t, "inspect", "--format", "{{.State.Health.Status}}", s.container(service, number)) == "healthy"
	})
}

// simulation is a run of simulate.
type simulation struct {
	out   chan string
	ended chan error
}

// simulate begins a run with 1000 tasks.
func (s stack) simulate(t *testing.T, args ...string) simulation {
	t.Helper()
	run := simulation{out: make(chan string, 1), ended: make(chan error, 1)}
	args = append([]string{"run", "--rm", "--no-TTY", "simulate", "--tasks", "1000", "--rate", "40"}, args...)
	go func() {
		out, err := s.try(2*patience, args...)
		run.out <- out
		run.ended <- err
	}()
	return run
}

// ends waits for the end of a run, and wants nothing missing and nothing wrong.
func (r simulation) ends(t *testing.T) {
	t.Helper()
	out, err := <-r.out, <-r.ended
	t.Log(out)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]string)
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 1 {
			counts[strings.Join(fields[:len(fields)-1], " ")] = fields[len(fields)-1]
		}
	}
	for name, want := range map[string]string{"as expected": "1000", "missing": "0", "wrong": "0", "stored twice": "0", "given up": "0"} {
		if counts[name] != want {
			t.Errorf("%s: %s, want %s", name, counts[name], want)
		}
	}
}

// stored returns how many messages the streams hold.
func (s stack) stored(t *testing.T) int {
	t.Helper()
	var jsz struct{ Messages int }
	s.monitored(t, "nats-1", "/jsz", &jsz)
	return jsz.Messages
}

// troubled plays the provider while a NATS server is killed, a gateway is stopped, and a consumer gets two copies more.
func (s stack) troubled(t *testing.T) {
	t.Helper()
	before := s.stored(t)
	after := func(more int) func() bool { return func() bool { return s.stored(t) > before+more } }
	run := s.simulate(t, "--seed", "2")
	await(t, "the first callbacks", after(100))
	ask(t, "kill", s.container("nats-2", 1))
	await(t, "callbacks without it", after(600))
	ask(t, "stop", s.container("gateway", 2))
	s.compose(t, "up", "--detach", "--no-recreate", "--no-deps", "--scale", "wav=3", "wav")
	await(t, "callbacks without it", after(1200))
	ask(t, "start", s.container("nats-2", 1), s.container("gateway", 2))
	for i := range 3 {
		s.awaitHealthy(t, "wav", i+1)
	}
	run.ends(t)
	s.awaitHealthy(t, "nats-2", 1)
	s.awaitHealthy(t, "gateway", 2)
}
