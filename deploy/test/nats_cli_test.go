package deploy_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"fanfare/deploy/test/eventually"
)

// standaloneRig is a standalone on a data directory.
type standaloneRig struct {
	*process
	callbacks, nats string // URLs
}

func startStandalone(t *testing.T, dir string, flags ...string) standaloneRig {
	t.Helper()
	p := start(t, built.fanfare(t), append([]string{
		"standalone", "--data-dir", dir, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0",
		"--nats-listen", "127.0.0.1:0", "--store-max-bytes", "268435456",
	}, flags...)...)
	return standaloneRig{p, p.says(t, `POST (http://[^/]+)/callbacks`) + "/callbacks/", p.says(t, `subscribe +(nats://\S+)`)}
}

// post sends a callback, and wants it answered 200.
func post(t *testing.T, url, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", body, answer.Status)
	}
}

// TestNATSCommandsOfTheReadme runs what the README tells subscribers to type.
func TestNATSCommandsOfTheReadme(t *testing.T) {
	t.Parallel()
	lines := readmeLines(t, "## Subscribe your own services", "nats ")
	if len(lines) != 4 {
		t.Fatalf("the commands are %q", lines)
	}
	s := startStandalone(t, t.TempDir())
	example := string(read(t, root+"/schemas/examples/wav/complete.json"))
	post(t, s.callbacks+"wav", example)
	for i := range 9 {
		post(t, s.callbacks+"wav", strings.ReplaceAll(example, "988e****c8d3", fmt.Sprintf("task-%d", i)))
	}
	post(t, s.callbacks+"music", string(read(t, root+"/schemas/examples/music/generate-text.json"))) // which is not complete
	sh := newShell(t, "NATS_URL="+s.nats)

	add, next, watch, get := lines[0], lines[1], lines[2], lines[3]
	if out := sh.run(t, add); !strings.Contains(out, "callbacks.*.complete") {
		t.Error("no durable is shown")
	}
	out := sh.run(t, next)
	if n := strings.Count(out, "subj: callbacks.wav.complete"); n != 10 || !strings.Contains(out, "ce-subject: 988e****c8d3") || !strings.Contains(out, "audioWavUrl") {
		t.Errorf("%d callbacks are shown", n)
	}
	if out := sh.run(t, "nats consumer info CALLBACKS billing"); !strings.Contains(out, "Unprocessed Messages: 0") || !strings.Contains(out, "Outstanding Acks: 0") {
		t.Error("not all of them are acked")
	}

	shown := &process{}
	watching := sh.command(t, "exec "+watch)
	watching.Stdout, watching.Stderr = shown, shown
	if err := watching.Start(); err != nil {
		t.Fatal(err)
	}
	eventually.Await(t, "nats to show the results", func() bool { return strings.Count(shown.String(), "RESULTS > wav.") >= 10 })
	_ = watching.Process.Kill()
	_ = watching.Wait()

	if out := sh.run(t, get); !strings.Contains(out, `"task_id":"988e****c8d3"`) || !strings.Contains(out, `"version":1`) {
		t.Error("it is not the result")
	}
}

// TestStandaloneIsCopiedAndComesBack does what the README says of a standalone: stop it,
// copy its data directory.
func TestStandaloneIsCopiedAndComesBack(t *testing.T) {
	t.Parallel()
	copies, moves := readmeLines(t, "### Back up and restore", "cp "), readmeLines(t, "### Back up and restore", "mv ")
	if len(copies) != 2 || len(moves) != 1 {
		t.Fatalf("the commands are %q, %q", copies, moves)
	}
	sh := newShell(t)
	data := filepath.Join(sh.dir, "fanfare-data")
	example := string(read(t, root+"/schemas/examples/video/error-bad-request.json"))
	s := startStandalone(t, data)
	post(t, s.callbacks+"video", example)
	var before string
	const get = " kv get RESULTS --raw video.9016961c069093b332880e6ef6279ccb"
	eventually.Await(t, "the result", func() bool {
		out, err := sh.try(t, "nats --server "+s.nats+get)
		before = out
		return err == nil
	})
	s.stop()
	sh.run(t, copies[0])
	sh.run(t, moves[0])
	sh.run(t, copies[1])
	s = startStandalone(t, data)
	post(t, s.callbacks+"video", example) // which is known
	if after := sh.run(t, "nats --server "+s.nats+get); after != before {
		t.Errorf("the result is %s, was %s", after, before)
	}
	if out := sh.run(t, "nats --server "+s.nats+" stream info CALLBACKS"); !strings.Contains(out, "Messages: 1\n") {
		t.Error("the same callback is stored twice")
	}
}
