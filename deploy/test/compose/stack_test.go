package compose_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"

	"fanfare/deploy/test/eventually"
)

// TestStack brings the whole stack up, plays the provider against it in peace and looks at it meanwhile, and plays the
// provider again while there is trouble.
// In the end every archived file is what its result says.
func TestStack(t *testing.T) {
	t.Parallel()
	s := stack{newProject(t, "docker-compose.yml")}
	s.compose(t, "up", "--wait")
	c := s.newCaller(t, s.bringKey(t))
	run := s.simulate(t, 1000, "--seed", "1")
	s.checkReplicas(t)
	s.checkSecrets(t)
	s.checkPrometheus(t, 7)
	s.checkPortOfNATS(t, calledTask, "callbacks.video.error")
	run.ends(t)
	s.checkStopOfGateway(t, c)
	s.checkWithoutMajority(t, c)
	s.troubled(t, c)
	s.checkPrometheus(t, 9)
	t.Log(s.compose(t, "run", "--rm", "--no-TTY", "operator", "archive", "verify"))
}

// stack is docker-compose.yml, brought up.
type stack struct{ project }

// jetStream is what a NATS server says of what it stores.
type jetStream struct {
	Messages int
	Accounts []struct {
		Streams []struct {
			Name    string
			Cluster struct{ Leader string }
			Config  struct {
				Replicas int `json:"num_replicas"`
			}
		} `json:"stream_detail"`
	} `json:"account_details"`
}

// monitored returns what some NATS server that is there says.
func (s stack) monitored(t *testing.T) (is jetStream) {
	t.Helper()
	const path = "http://127.0.0.1:8222/jsz?streams=true&config=true"
	var errs []error
	for _, server := range []string{"nats-1", "nats-2", "nats-3"} {
		answer, err := s.try(brief, "exec", "--no-TTY", server, "wget", "-Y", "off", "-q", "-O", "-", path)
		if err == nil {
			decode(t, answer, &is)
			return is
		}
		errs = append(errs, err)
	}
	t.Fatal(errors.Join(errs...))
	return is
}

// stored returns how many messages the streams hold.
func (s stack) stored(t *testing.T) int {
	t.Helper()
	return s.monitored(t).Messages
}

// leader returns the NATS server that leads the callbacks, once there is one.
func (s stack) leader(t *testing.T) (name string) {
	t.Helper()
	eventually.Await(t, "a leader of the callbacks", func() bool {
		for _, account := range s.monitored(t).Accounts {
			for _, stream := range account.Streams {
				if stream.Name == "CALLBACKS" {
					name = stream.Cluster.Leader
				}
			}
		}
		return name != ""
	})
	return name
}

// checkReplicas wants three copies of each stream.
func (s stack) checkReplicas(t *testing.T) {
	t.Helper()
	is := s.monitored(t)
	if len(is.Accounts) != 1 || len(is.Accounts[0].Streams) != 6 {
		t.Fatalf("%+v", is)
	}
	for _, stream := range is.Accounts[0].Streams {
		if stream.Config.Replicas != 3 {
			t.Errorf("%s has %d copies", stream.Name, stream.Config.Replicas)
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
	eventually.Await(t, strconv.Itoa(want)+" targets to be up", func() bool {
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
	eventually.Await(t, "all rules to work", func() bool {
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
