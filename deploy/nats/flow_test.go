package nats_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/result"
)

// result notes a result as one line.
func (o *output) result(_ context.Context, doc result.Document) error {
	_, err := fmt.Fprintln(o, "result", doc.TaskID, doc.Outcome, doc.Archive)
	return err
}

// TestFanfareWorksWithItsRoles takes callbacks through everything that fanfare does with
// them, and a task whose callback does not come.
func TestFanfareWorksWithItsRoles(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, startSecured(t))
	b := d.service(t)
	lines := seen(t, b)
	if _, err := b.Announce(t.Context(), "wav", ledger.Announcement{TaskID: "lost", SubmittedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	good := callbackOf("good", d.media+"/a.wav")
	for body, want := range map[string]string{
		good:                     `"code":200`,
		`{"code":200,"data":{}}`: `"code":400`,
		// Nothing may be fetched from there, so this one dies.
		callbackOf("gone", "http://127.0.0.1:1/a.wav"): `"code":200`,
	} {
		if got := d.post(t, body); !strings.Contains(got, want) {
			t.Errorf("%s: %s", body, got)
		}
	}
	for _, again := range []string{good, callbackOf("good", d.media+"/other.wav")} { // a duplicate, and a conflict
		if got := d.post(t, again); !strings.Contains(got, `"code":200`) {
			t.Errorf("%s: %s", again, got)
		}
	}
	for _, line := range []string{
		"callback good 200 false", "result good succeeded complete", "result gone succeeded failed",
		"callback lost 501 true", "result lost failed none",
	} {
		eventually.Await(t, line, func() bool { return strings.Contains(lines.String(), line+"\n") })
	}
	for i, metric := range []string{`fanfare_stream_messages{stream="RESULTS"}`, `fanfare_consumer_oldest_pending_seconds{type="wav"}`, `fanfare_stream_messages{stream="TASKS_STATE"}`} {
		if text := get(t, d.ops[i], "/metrics"); !strings.Contains(text, metric) || !strings.Contains(text, "\nfanfare_broker_certificate_not_after_seconds ") {
			t.Errorf("%s lacks %s, or the certificate", d.processes[i].name, metric)
		}
	}
	d.checkOperator(t)
	d.checkPeace(t)
}

// checkOperator looks, as the operator, at what has happened, and puts it right.
func (d *deployment) checkOperator(tb testing.TB) {
	tb.Helper()
	eventually.Await(tb, "a dead letter", func() bool {
		return strings.Contains(d.as(tb, "operator", "dead-letter", "list"), "gone")
	})
	for _, row := range []struct{ args, want string }{
		{"quarantine list", "conflict"},
		{"quarantine show 1", `{"code":200,"data":{}}`},
		{"quarantine delete 1", ""},
		{"dead-letter show 1", "Fanfare-Reason: "},
		{"dead-letter replay 1", "redelivered"},
		{"explain good", "came again"},
		{"explain lost", "the provider was asked"},
		{"tasks list", "resolved"},
		{"tasks show wav lost", `"state":"resolved"`},
		{"expect wav later", "is expected to call back"},
	} {
		if out := d.as(tb, "operator", strings.Fields(row.args)...); !strings.Contains(out, row.want) {
			tb.Errorf("%s: %s", row.args, out)
		}
	}
	eventually.Await(tb, "the dead letter again", func() bool { return strings.Contains(d.as(tb, "operator", "dead-letter", "list"), "gone") })
	d.as(tb, "operator", "dead-letter", "delete", "--all")
	for subject, want := range map[string]string{
		"callbacks.>": "callbacks.wav.complete", "redeliver.>": "redeliver.wav.complete", "results": "results.wav", "quarantine.>": "quarantine.wav",
	} {
		args := append([]string{"tail", subject, "--since", "all"}, d.flags("operator")...)
		tail := launch(tb, built.fanfare(), nil, args...)
		eventually.Await(tb, "tail shows "+want, func() bool { return strings.Contains(tail.out.String(), want) })
		if err := tail.cmd.Process.Signal(os.Interrupt); err != nil || tail.wait() != 0 {
			tb.Errorf("tail %s: %v: %s", subject, err, tail.err.String())
		}
		if strings.Contains(tail.err.String(), "ermissions") {
			tb.Errorf("tail %s: %s", subject, tail.err.String())
		}
	}
}
