package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
)

// handling is what a consumer logs of one delivery that it has handled.
type handling struct {
	Time        time.Time       `json:"time"`
	Msg         string          `json:"msg"`
	TaskID      callback.TaskID `json:"task_id"`
	Delivery    int             `json:"delivery"`
	Verdict     string          `json:"verdict"`
	Error       string          `json:"error"`
	SettleError string          `json:"settle_error"`
}

// handlings reads what processes have logged, by task and in order.
func handlings(tb testing.TB, consumers ...*process) map[callback.TaskID][]handling {
	tb.Helper()
	byTask := make(map[callback.TaskID][]handling)
	for _, consumer := range consumers {
		for line := range strings.Lines(consumer.err.String()) {
			var h handling
			if !strings.HasSuffix(line, "\n") || !strings.Contains(line, `"msg":"delivery"`) {
				continue // a last line may not have come as a whole yet
			}
			if err := json.Unmarshal([]byte(line), &h); err != nil {
				tb.Fatalf("log line %q: %v", line, err)
			}
			byTask[h.TaskID] = append(byTask[h.TaskID], h)
		}
	}
	return byTask
}

// awaitHandlings returns what processes have logged, once there is something of
// every task: a line is written only after the message is settled.
func (r *rig) awaitHandlings(tb testing.TB, consumers ...*process) (byTask map[callback.TaskID][]handling) {
	tb.Helper()
	eventually.Await(tb, "a log line of every task", func() bool {
		byTask = handlings(tb, consumers...)
		return len(byTask) == len(r.called)
	})
	return byTask
}

// handled is how many deliveries a process says that it has handled.
func (p *process) handled() int { return strings.Count(p.err.String(), `"msg":"delivery"`) }
