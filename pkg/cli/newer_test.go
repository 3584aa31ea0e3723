package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/broker"
	"fanfare/pkg/eventually"
)

// What a newer release has left in a stream does not keep operators from the rest, and
// they are told of it.
func TestCommandsPassOverWhatIsNewer(t *testing.T) {
	t.Parallel()
	m := startMourning(t)
	const newer = "newer than this fanfare knows"
	for _, subject := range []string{"dead-letters.wav", "quarantine.wav"} {
		msg := nats.NewMsg(subject)
		msg.Header.Set("Fanfare-Version", "2")
		if _, err := m.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.js.Publish(t.Context(), "$KV.RESULTS.wav.t9", []byte(`{"version":2}`)); err != nil {
		t.Fatal(err)
	}
	m.bury(t, "wav", "t1")
	invalid := broker.Quarantined{Type: "wav", Reason: "schema", Received: time.Now(), Body: []byte(`{"code":200,"msg":"","data":{"task_id":"t1"}}`)}
	if err := m.broker.Quarantine(t.Context(), invalid); err != nil {
		t.Fatal(err)
	}

	for _, row := range []struct {
		args string
		says string
	}{
		{"dead-letter list", "permanent"},
		{"dead-letter replay --type wav", "2  wav  t1  complete  redelivered"},
		{"quarantine list", "schema"},
		{"quarantine replay", "2  wav  stays: "},
		{"explain t1 --type wav", "quarantined"},
		{"explain t9 --type wav", ""},
	} {
		p := fanfare(t, append(strings.Fields(row.args), "--nats-url", "nats://"+m.nats)...)
		if status := p.wait(); status != 1 || !strings.Contains(p.out.String(), row.says) || !strings.Contains(p.err.String(), newer) {
			t.Errorf("%s: status %d\n%s\n%s", row.args, status, p.out.String(), p.err.String())
		}
	}

	following := fanfare(t, "tail", "results", "--since", "all", "--nats-url", "nats://"+m.nats)
	eventually.Await(t, "tail says so", func() bool { return strings.Contains(following.out.String(), "results.wav.t9  its format is "+newer) })
}
