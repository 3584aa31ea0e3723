package nats_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// dial connects a client of a role until the test ends.
func (s *secured) dial(tb testing.TB, role string, options ...nats.Option) *nats.Conn {
	tb.Helper()
	conn, err := s.connect(role, options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	return conn
}

// ask is a question with an answer that is none of the errors.
func (s *secured) ask(tb testing.TB, role, subject, body string) string {
	tb.Helper()
	answer, err := question(tb.Context(), s.dial(tb, role), subject, body)
	if err != nil {
		tb.Fatalf("%s on %s: %v", role, subject, err)
	}
	return string(answer)
}

// standing is how the streams and the durables of fanfare are set up.
func (s *secured) standing(tb testing.TB) string {
	tb.Helper()
	var all strings.Builder
	for _, stream := range []string{"CALLBACKS", "QUARANTINE", "DEAD_LETTERS", "TASKS", "KV_RESULTS", "KV_TASKS_STATE"} {
		fmt.Fprintln(&all, s.config(tb, "$JS.API.STREAM.INFO."+stream))
	}
	for _, t := range types(tb) {
		fmt.Fprintln(&all, s.config(tb, "$JS.API.CONSUMER.INFO.CALLBACKS."+string(t)))
	}
	return all.String()
}

// requests are what an answer could be, as far as nobody but JetStream tells them apart:
// their subjects and bodies.
func requests(config string) map[string]string {
	return map[string]string{
		"STREAM.DELETE.CALLBACKS":            "",
		"STREAM.DELETE.KV_RESULTS":           "",
		"STREAM.PURGE.QUARANTINE":            "",
		"STREAM.UPDATE.CALLBACKS":            strings.Replace(config, `"max_msgs":-1`, `"max_msgs":1`, 1),
		"STREAM.MSG.DELETE.DEAD_LETTERS":     `{"seq":1}`,
		"CONSUMER.DELETE.CALLBACKS.music":    "",
		"CONSUMER.CREATE.CALLBACKS.wav":      durable("CALLBACKS", "wav", "redeliver.wav.>"),
		"CONSUMER.PAUSE.CALLBACKS.cover":     `{"pause_until":"2199-01-01T00:00:00Z"}`,
		"CONSUMER.CREATE.CALLBACKS.stranger": durable("CALLBACKS", "stranger", "callbacks.>"),
	}
}

// answered asks, as the gateway and as a service, for what a request would be made of, and
// has it sent where JetStream takes that request.
func (s *secured) answered(tb testing.TB, gateway, service *nats.Conn, request, body string) {
	tb.Helper()
	get := `{"seq":1000000}` // which there is not: an empty answer
	if body != "" {
		get = `{"last_by_subj":"callbacks.wav.complete"}`
		if err := s.try(tb, "gateway", action{"", store, "callbacks.wav.complete", body, ""}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(
		gateway.PublishRequest(directGet, "$JS.API."+request, []byte(get)),
		service.PublishRequest(fetchNext, "$JS.API."+request, []byte(`{"batch":1,"no_wait":true}`)),
	); err != nil {
		tb.Fatal(err)
	}
}

// What the streams answer themselves.
const (
	directGet = "$JS.API.DIRECT.GET.CALLBACKS"
	fetchNext = "$JS.API.CONSUMER.MSG.NEXT.CALLBACKS.billing"
)

// TestAnswersAreNoRequests has JetStream send its answers where it takes requests: empty ones,
// and what the gateway stored.
func TestAnswersAreNoRequests(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	before := s.standing(t)
	if err := s.try(t, "consumer-wav", action{"", store, "dead-letters.wav", "{}", ""}); err != nil {
		t.Fatal(err)
	}
	gateway, service := s.dial(t, "gateway"), s.dial(t, "subscriber")
	s.ask(t, "subscriber", "$JS.API.CONSUMER.CREATE.CALLBACKS.billing", durable("CALLBACKS", "billing", ""))
	for request, body := range requests(s.config(t, "$JS.API.STREAM.INFO.CALLBACKS")) {
		s.answered(t, gateway, service, request, body)
	}
	for subject, conn := range map[string]*nats.Conn{directGet: gateway, fetchNext: service} {
		if _, err := question(t.Context(), conn, subject, `{"seq":1,"no_wait":true}`); err != nil { // answered after those before
			t.Error(err)
		}
	}
	for range 20 { // there is a queue for requests; these come after what was taken for one
		s.ask(t, "subscriber", "$JS.API.CONSUMER.CREATE.CALLBACKS.billing", durable("CALLBACKS", "billing", ""))
	}
	if after := s.standing(t); after != before {
		t.Errorf("%s\nbecame\n%s", before, after)
	}
	if answer := s.ask(t, "operator", "$JS.API.CONSUMER.INFO.CALLBACKS.stranger", ""); !strings.Contains(answer, "consumer not found") {
		t.Error(answer)
	}
	if answer := s.ask(t, "operator", "$JS.API.STREAM.INFO.DEAD_LETTERS", ""); !strings.Contains(answer, `"messages":1`) {
		t.Error(answer)
	}
}

// TestNobodyNamesTheWayOfRequests holds the other half: no client has an answer sent where
// requests pass.
func TestNobodyNamesTheWayOfRequests(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	for _, role := range s.roles(t) {
		refused := make(chan error, 1)
		conn := s.dial(t, role, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
		if err := conn.PublishRequest("$JS.API.DIRECT.GET.CALLBACKS", "$JS.ACK.API.CONSUMER.DELETE.CALLBACKS.wav", []byte(`{"seq":1}`)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", role, err)
			}
		case <-time.After(patience):
			t.Errorf("%s may", role)
		}
	}
}

// pushed is a request for a durable whose messages, and each 100 ms a heartbeat, are pushed to a subject.
func pushed(name, to string) string {
	return fmt.Sprintf(`{"stream_name":"CALLBACKS","config":{"durable_name":%q,"deliver_subject":%q,"ack_policy":"explicit","headers_only":true,"idle_heartbeat":100000000}}`, name, to)
}

// TestNobodySettlesForOthersByPush has messages without a body, and heartbeats, pushed where
// the acks of fanfare's own consumer go, and where requests pass.
func TestNobodySettlesForOthersByPush(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	if err := s.try(t, "gateway", action{"", store, "callbacks.wav.complete", "{}", ""}); err != nil {
		t.Fatal(err)
	}
	s.ask(t, "consumer-wav", "$JS.API.CONSUMER.MSG.NEXT.CALLBACKS.wav", `{"batch":1,"expires":10000000000}`)
	before := s.standing(t)
	service := s.dial(t, "subscriber")
	inbox := service.NewInbox()
	seen, err := service.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"acks": "$JS.ACK.CALLBACKS.wav.1.1.1.1.0", "deletes": "$JS.API.CONSUMER.DELETE.CALLBACKS.music",
		"passes": "$JS.ACK.API.CONSUMER.DELETE.CALLBACKS.music", "hears": inbox,
	} {
		s.ask(t, "subscriber", "$JS.API.CONSUMER.CREATE.CALLBACKS."+name, pushed(name, to))
	}
	for range 5 { // the message and four heartbeats, as many as the others would have
		if _, err := seen.NextMsg(patience); err != nil {
			t.Fatal(err)
		}
	}
	if answer := s.ask(t, "operator", "$JS.API.CONSUMER.INFO.CALLBACKS.wav", ""); !strings.Contains(answer, `"num_ack_pending":1`) {
		t.Error(answer)
	}
	if after := s.standing(t); after != before {
		t.Errorf("%s\nbecame\n%s", before, after)
	}
}

// TestNobodyRollsUp publishes, where roles may, what would take all the rest away.
func TestNobodyRollsUp(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	for role, subject := range map[string]string{
		"consumer-wav": "$KV.RESULTS.wav.a", "reconciler": "$KV.TASKS_STATE.wav.a", "gateway": "callbacks.wav.complete",
	} {
		if err := s.try(t, role, action{"", store, subject, "{}", ""}); err != nil {
			t.Fatal(err)
		}
	}
	for role, subject := range map[string]string{
		"consumer-music": "$KV.RESULTS.music.a", "gateway": "$KV.TASKS_STATE._again.wav.a.complete", "operator": "callbacks.wav.error",
	} {
		roll := nats.NewMsg(subject)
		roll.Header.Set("Nats-Rollup", "all")
		answer, err := s.dial(t, role).RequestMsg(roll, patience)
		if err != nil || !strings.Contains(string(answer.Data), "rollup not permitted") {
			t.Errorf("%s on %s: %v, %v", role, subject, answer, err)
		}
	}
	for _, stream := range []string{"KV_RESULTS", "KV_TASKS_STATE", "CALLBACKS"} {
		if answer := s.ask(t, "operator", "$JS.API.STREAM.INFO."+stream, ""); !strings.Contains(answer, `"messages":1`) {
			t.Errorf("%s: %s", stream, answer)
		}
	}
}
