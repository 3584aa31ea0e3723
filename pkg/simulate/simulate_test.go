package simulate

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// newTestSimulator returns a simulator in a hurry: its pauses are 2,000 times
// shorter than the provider's, its timeouts a fraction of a second.
func newTestSimulator(t *testing.T, rcv *receiver, target string, opts Options) *Simulator {
	t.Helper()
	opts.Logger, opts.Results, opts.Target, opts.MediaListen = discard(), rcv.records, target, "127.0.0.1:0"
	opts.Speed, opts.Rate = 2000, 1000
	if opts.Seed == 0 {
		opts.Seed = 1
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.provider.patience, s.provider.hurry = 10*time.Second, 10*time.Second
	s.judge.interval = 10 * time.Millisecond
	s.media.hang, s.media.slow = 50*time.Millisecond, 10*time.Millisecond
	rcv.fetcher = newFetcher(t, s)
	return s
}

func run(t *testing.T, s *Simulator) Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := s.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &table)
	return report
}

func TestRun(t *testing.T) {
	t.Parallel()
	rcv, target := newReceiver(t)
	s := newTestSimulator(t, rcv, target, Options{Tasks: 120})
	report := run(t, s)
	if report.Failed() || report.AsExpected != 120 || report.Missing != 0 || report.Wrong != 0 || len(report.Deviations) != 0 {
		t.Errorf("report %+v", report)
	}
	var requested int64
	for i := range s.plan.ids {
		requested += int64(requests(writeTask(t, s.plan, i)))
	}
	if report.Callbacks != s.plan.callbacks() || report.Requests != requested || report.OK200 != requested {
		t.Errorf("%d callbacks in %d requests, %d answered 200; want %d in %d",
			report.Callbacks, report.Requests, report.OK200, s.plan.callbacks(), requested)
	}
	if report.MediaFaults < 50 || report.MediaRequests < 2*report.MediaFaults || report.Trapped != 0 {
		t.Errorf("report %+v", report)
	}
	if report.Repeats != requested-s.plan.callbacks() || report.GaveUp != 0 || report.Seed != 1 {
		t.Errorf("report %+v", report)
	}
}

func TestRunThroughFaults(t *testing.T) {
	t.Parallel()
	rcv, target := newReceiver(t)
	rcv.fault = func(w http.ResponseWriter, r *http.Request, cb callback.Callback, n int) bool {
		switch {
		case n == 1 && cb.Type == video: // nobody home
			w.WriteHeader(http.StatusServiceUnavailable)
		case n <= 2 && cb.Type == cover: // stored, but the answer is of no use
			rcv.store(cb)
			w.WriteHeader(http.StatusAccepted)
		case n == 1 && cb.Type == wav: // no answer in time
			<-r.Context().Done()
		default:
			return false
		}
		return true
	}
	s := newTestSimulator(t, rcv, target, Options{Tasks: 80, Seed: 2})
	s.provider.patience = time.Second
	report := run(t, s)
	if report.Failed() || report.AsExpected != 80 || report.Callbacks != s.plan.callbacks() {
		t.Errorf("report %+v", report)
	}
	if report.Repeats < 25 || report.Requests-report.OK200 < 25 {
		t.Errorf("%d of %d requests were repeats", report.Repeats, report.Requests)
	}
}

func TestRunGivesUp(t *testing.T) {
	t.Parallel()
	rcv, target := newReceiver(t)
	rcv.fault = func(w http.ResponseWriter, r *http.Request, cb callback.Callback, _ int) bool {
		if cb.Type != wav {
			return false
		}
		http.Redirect(w, r, "/callbacks/elsewhere", http.StatusTemporaryRedirect) // following it fails the test
		return true
	}
	s := newTestSimulator(t, rcv, target, Options{Tasks: 40, Settle: time.Second})
	s.provider.retries = []time.Duration{time.Second, time.Second, time.Second}
	report := run(t, s)

	var tasks, calls, sent int64
	for i := range s.plan.ids {
		planned := writeTask(t, s.plan, i)
		if planned.flavour.typ == wav {
			tasks++
			calls += int64(len(planned.calls))
			sent += int64(4 * requests(planned))
		}
	}
	if !report.Failed() || report.GaveUp != calls || int64(report.Missing) != tasks || report.Wrong != 0 {
		t.Errorf("report %+v, want %d callbacks given up and %d results missing", report, calls, tasks)
	}
	if got := report.Requests - report.OK200; got != sent {
		t.Errorf("%d requests in vain, want %d", got, sent)
	}
}

func TestRunSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	rcv, target := newReceiver(t)
	withheld, altered := 0, 0
	counted := make(map[callback.TaskID]bool)
	rcv.records.alter = func(doc result.Document) (result.Document, bool) {
		if doc.Outcome == result.Progress || doc.Archive == result.Pending {
			return doc, true
		}
		first := !counted[doc.TaskID]
		counted[doc.TaskID] = true
		switch {
		case doc.Type == cover:
			if first {
				withheld++
			}
			return result.Document{}, false
		case doc.Type == video && doc.Archive == result.Archived:
			if first {
				altered++
			}
			media := doc.Media[0]
			media.SHA256 = strings.Repeat("0", 64)
			doc.Media = []result.Media{media}
		}
		return doc, true
	}
	s := newTestSimulator(t, rcv, target, Options{Tasks: 60, Settle: time.Second})
	report := run(t, s)
	if withheld == 0 || altered == 0 {
		t.Fatalf("%d documents withheld, %d altered", withheld, altered)
	}
	if !report.Failed() || report.Missing != withheld || report.Wrong != altered || report.AsExpected != 60-withheld-altered {
		t.Errorf("report %+v, want %d missing and %d wrong", report, withheld, altered)
	}
	if len(report.Deviations) != maxDeviations {
		t.Errorf("%d deviations, want %d", len(report.Deviations), maxDeviations)
	}
}

func TestRunOutlastsUnreadableResults(t *testing.T) {
	t.Parallel()
	rcv, target := newReceiver(t)
	rcv.records.read = func(n int) error {
		if n < 20 || n%7 == 0 && n < 300 {
			return errors.New("no responders available")
		}
		return nil
	}
	s := newTestSimulator(t, rcv, target, Options{Tasks: 40})
	if report := run(t, s); report.Failed() {
		t.Errorf("report %+v", report)
	}
}

func TestRunIsCancelled(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]bool{"while a request hangs": true, "while waiting for a retry": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rcv, target := newReceiver(t)
			begun := make(chan struct{})
			var once sync.Once
			rcv.fault = func(w http.ResponseWriter, r *http.Request, _ callback.Callback, _ int) bool {
				once.Do(func() { close(begun) })
				if hang {
					<-r.Context().Done()
				} else {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				return true
			}
			s := newTestSimulator(t, rcv, target, Options{Tasks: 500})
			s.provider.patience, s.provider.hurry, s.provider.speed = time.Hour, time.Hour, 1
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-begun
				cancel()
			}()
			report, err := s.Run(ctx)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if !report.Failed() || report.Missing+report.Wrong+report.AsExpected != 0 || report.GaveUp != 0 {
				t.Errorf("report %+v", report)
			}
		})
	}
}

func TestRunEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	rcv, target := newReceiver(t)
	rcv.fault = func(http.ResponseWriter, *http.Request, callback.Callback, int) bool { return true } // 200, and no more
	s := newTestSimulator(t, rcv, target, Options{Tasks: 3})
	s.limiter.SetLimit(0.01)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := s.Run(ctx) // the limiter sees that the second task cannot begin in time
	if err == nil || !report.Failed() {
		t.Errorf("error %v, report %+v", err, report)
	}
}

func TestRunFailsWithoutMedia(t *testing.T) {
	t.Parallel()
	rcv, target := newReceiver(t)
	rcv.fault = func(w http.ResponseWriter, _ *http.Request, _ callback.Callback, _ int) bool {
		w.WriteHeader(http.StatusServiceUnavailable) // it would miss the media
		return true
	}
	s := newTestSimulator(t, rcv, target, Options{Tasks: 3})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context()); err == nil {
		t.Error("no error although media cannot be served")
	}
}
