package compose_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"fanfare/deploy/test/eventually"
)

// checkStopOfGateway calls while a gateway is stopped and started again, and wants every call to be answered 200.
func (s stack) checkStopOfGateway(t *testing.T, c caller) {
	t.Helper()
	end := c.begin(t)
	ask(t, "stop", s.container("gateway", 1))
	ask(t, "start", s.container("gateway", 1))
	s.awaitHealthy(t, "gateway", 1)
	answers := end()
	if t.Logf("while a gateway was stopped and started, calls were answered %v", answers); answers[http.StatusOK] == 0 || len(answers) != 1 {
		t.Error("not all of them 200")
	}
}

// checkWithoutMajority calls while two of the three NATS servers are away, so that nothing can be stored and no gateway
// is ready, and until they are back. It wants every call to be answered, if need be that it is to come again.
func (s stack) checkWithoutMajority(t *testing.T, c caller) {
	t.Helper()
	end := c.begin(t)
	ask(t, "kill", s.container("nats-2", 1), s.container("nats-3", 1))
	eventually.Await(t, "the balancer to see no gateway that is ready", func() bool {
		_, err := s.try(brief, "exec", "--no-TTY", "haproxy", "wget", "-Y", "off", "-q", "-O", "/dev/null", "http://127.0.0.1:8404/")
		return err != nil
	})
	if status, err := c.call(t.Context()); status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		t.Errorf("without a majority a call is answered %d, %v", status, err)
	}
	ask(t, "start", s.container("nats-2", 1), s.container("nats-3", 1))
	eventually.Await(t, "calls to be answered 200 again", func() bool {
		status, err := c.call(t.Context())
		return err == nil && status == http.StatusOK
	})
	answers := end()
	t.Logf("while two NATS servers were away, calls were answered %v", answers)
	wantAnswered(t, answers)
	for _, service := range []string{"nats-2", "nats-3", "gateway", "haproxy", "music", "video", "wav", "cover", "reconciler"} {
		s.awaitHealthy(t, service, 1)
	}
	s.awaitHealthy(t, "gateway", 2)
}

// wantAnswered wants each call to have been answered 200, some at least, or that it is to come again.
func wantAnswered(t *testing.T, answers map[int]int) {
	t.Helper()
	for status := range answers {
		switch status {
		case http.StatusOK, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		default:
			t.Errorf("among them %v", answers)
		}
	}
	if answers[http.StatusOK] == 0 {
		t.Errorf("none of them 200: %v", answers)
	}
}

func (s stack) awaitHealthy(t *testing.T, service string, number int) {
	t.Helper()
	eventually.Await(t, service+" to be healthy", func() bool {
		return ask(t, "inspect", "--format", "{{.State.Health.Status}}", s.container(service, number)) == "healthy"
	})
}

// simulation is a run of simulate.
type simulation struct {
	tasks string
	out   chan string
	ended chan error
}

// simulate begins a run with so many tasks.
func (s stack) simulate(t *testing.T, tasks int, args ...string) simulation {
	t.Helper()
	run := simulation{tasks: strconv.Itoa(tasks), out: make(chan string, 1), ended: make(chan error, 1)}
	args = append([]string{"run", "--rm", "--no-TTY", "simulate", "--tasks", run.tasks, "--rate", "80"}, args...)
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
	for name, want := range map[string]string{"as expected": r.tasks, "missing": "0", "wrong": "0", "stored twice": "0", "given up": "0"} {
		if counts[name] != want {
			t.Errorf("%s: %s, want %s", name, counts[name], want)
		}
	}
}

// troubled plays the provider while the NATS server that leads the callbacks is killed, a gateway is stopped, and a
// consumer gets two copies more. What comes while nobody leads is answered, if need be that it is to come again.
func (s stack) troubled(t *testing.T, c caller) {
	t.Helper()
	before := s.stored(t)
	after := func(more int) func() bool { return func() bool { return s.stored(t) > before+more } }
	run := s.simulate(t, 1000, "--seed", "2")
	eventually.Await(t, "the first callbacks", after(100))
	end := c.begin(t)
	leader := s.leader(t)
	ask(t, "kill", s.container(leader, 1))
	eventually.Await(t, "another leader", func() bool { return s.leader(t) != leader })
	eventually.Await(t, "callbacks without it", after(600))
	answers := end()
	t.Logf("when %s was killed, calls were answered %v", leader, answers)
	wantAnswered(t, answers)
	ask(t, "stop", s.container("gateway", 2))
	s.compose(t, "up", "--detach", "--no-recreate", "--no-deps", "--scale", "wav=3", "wav")
	eventually.Await(t, "callbacks without it", after(1200))
	ask(t, "start", s.container(leader, 1), s.container("gateway", 2))
	for i := range 3 {
		s.awaitHealthy(t, "wav", i+1)
	}
	run.ends(t)
	s.awaitHealthy(t, leader, 1)
	s.awaitHealthy(t, "gateway", 2)
}
