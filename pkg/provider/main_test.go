package provider

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"fanfare/pkg/callback"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	secret = "k3y-th4t-n0body-may-see"
	canary = "c4n4ry" // in what the provider writes, where nobody else may repeat it
	taskID = callback.TaskID("5c79be8e5c79be8e5c79be8e5c79be8e")
)

func contracts(tb testing.TB) callback.Contracts {
	tb.Helper()
	all, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// serve starts a provider that answers with the handler.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// clientOf returns a client of the server, with options changed by change.
func clientOf(t *testing.T, base string, change ...func(*Options)) *Client {
	t.Helper()
	options := Options{BaseURL: base, Key: func() string { return secret }, EgressAllow: []string{"127.0.0.1"}}
	for _, change := range change {
		change(&options)
	}
	client, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// rig holds what the tests of one function share.
type rig struct {
	contracts callback.Contracts
}

func newRig(t *testing.T) rig {
	t.Helper()
	return rig{contracts(t)}
}

// details asks the client for taskID.
func (r rig) details(t *testing.T, client *Client, typ callback.Type) Answer {
	t.Helper()
	a, err := client.Details(t.Context(), r.contracts[typ], taskID)
	if err != nil {
		t.Fatal(err)
	}
	checkAnswer(t, r.contracts[typ], taskID, a)
	return a
}

// told asks for a task of the type, of a provider that is taken for host, and that
// answers so over HTTP.
func (r rig) told(t *testing.T, host string, typ callback.Type, status int, body string) Answer {
	t.Helper()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		write(w, body)
	})
	defer server.Close()
	client := clientOf(t, server.URL)
	client.verdicts = verdictsOf(host)
	return r.details(t, client, typ)
}

// write answers with a text; a client that has left does not matter.
func write(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

// checkAnswer checks what holds of every answer.
func checkAnswer(tb testing.TB, contract *callback.Contract, id callback.TaskID, a Answer) {
	tb.Helper()
	if !slices.Contains(Outcomes(), a.Outcome) {
		tb.Errorf("outcome %q is none of the closed set", a.Outcome)
	}
	for _, no := range []string{secret, canary, "Bearer"} {
		if strings.Contains(a.Detail, no) {
			tb.Errorf("detail tells %s: %s", no, a.Detail)
		}
	}
	if len(a.Detail) > 512 {
		tb.Errorf("detail of %d bytes", len(a.Detail))
	}
	cb := a.Callback
	if a.Outcome != Final && a.Outcome != Progress {
		if cb.Body != nil || cb.TaskID != "" {
			tb.Errorf("%s has a callback: %s", a.Outcome, cb.Body)
		}
		return
	}
	again, err := contract.Decode(cb.Body)
	if err != nil {
		tb.Fatalf("the callback is invalid: %v\n%s", err, cb.Body)
	}
	if again.MessageID() != cb.MessageID() || cb.TaskID != id || cb.Type != contract.Type || !cb.Polled {
		tb.Errorf("the callback %+v decodes as %s", cb, again.MessageID())
	}
	if cb.Stage.Final() != (a.Outcome == Final) || cb.Stage == callback.Other || len(cb.Body) > maxBodyBytes {
		tb.Errorf("%s of stage %s with %d bytes", a.Outcome, cb.Stage, len(cb.Body))
	}
}

// record is the answer 200 about taskID with the members given.
func record(members string) string {
	return fmt.Sprintf(`{"code":200,"msg":"success","data":{"taskId":%q,%s}}`, taskID, members)
}

// results holds a response of each type that is complete, as its page shows it.
func results() map[callback.Type]string {
	return map[callback.Type]string{
		"music": `{"taskId":"` + string(taskID) + `","sunoData":[` + track + `]}`,
		"wav":   `{"audioWavUrl":"https://example.com/s/a.wav"}`,
		"video": `{"taskId":"` + string(taskID) + `","videoUrl":"https://example.com/s/a.mp4"}`,
		"cover": `{"images":["https://example.com/s/1.png","https://example.com/s/2.png"]}`,
	}
}

const track = `{"id":"8551****662c","audioUrl":"https://example.cn/a.mp3","sourceAudioUrl":"https://example.cn/s.mp3",` +
	`"streamAudioUrl":"https://example.cn/a","sourceStreamAudioUrl":"https://example.cn/s","imageUrl":"https://example.cn/a.jpeg",` +
	`"sourceImageUrl":"https://example.cn/s.jpeg","prompt":"[Verse]\nNight","modelName":"chirp-v3-5","title":"Iron \"Man\"",` +
	`"tags":"electrifying, rock","createTime":"2025-01-01 00:00:00","duration":198.44}`
