package reconcile_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/eventually"
	"fanfare/pkg/ledger"
	"fanfare/pkg/reconcile"
)

// lines are what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// A task that gets on says something else each time that it is asked about. Only ends
// can contradict each other.
func TestProgressContradictsNothing(t *testing.T) {
	t.Parallel()
	b, _ := provisioned(t)
	d, log := newDetails(t), &lines{}
	says := func(n int) {
		d.answer("m", `{"code":200,"msg":"","data":{"taskId":%q,"status":"FIRST_SUCCESS","response":{"sunoData":[`+
			fmt.Sprintf(`{"id":"a","audioUrl":"https://media.example/a.mp3","duration":%d}]}}}`, n))
	}
	says(1)
	start(t, b, d, func(o *reconcile.Options) { o.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	if _, err := b.Announce(t.Context(), "music", ledger.Announcement{TaskID: "m", SubmittedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for n := 2; n < 5; n++ {
		eventually.Await(t, "it is asked about", func() bool { return state(t, b, "music", "m").Polls >= n-1 })
		says(n)
	}
	eventually.Await(t, "it is asked about again", func() bool { return state(t, b, "music", "m").Polls > 5 })
	if all := stored(t, b, "m"); len(all) != 1 || all[0].Header["ce-stage"] != "first" {
		t.Errorf("%v", all)
	}
	if strings.Contains(log.String(), "WARN") {
		t.Errorf("logged:\n%s", log)
	}
}
