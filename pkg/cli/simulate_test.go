package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fanfare/pkg/broker"
	"fanfare/pkg/media"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
)

// everyFaultSeed is one whose first 150 tasks meet every media fault, the longest
// silence early. Another way to draw faults needs another seed.
const everyFaultSeed = "78"

// checkTrouble wants a simulation to have met media faults of every kind that
// consumers can tell apart, and to have left dead letters of those that cost a
// file and of nothing else.
func (s *standalone) checkTrouble(tb testing.TB) {
	tb.Helper()
	_, metrics := get("http://" + s.ops + "/metrics")
	for _, reason := range []media.Reason{
		media.ReasonGone, media.ReasonExpired, media.ReasonWrongType, media.ReasonTooLarge, media.ReasonRefusedAddress,
		media.ReasonHTTPStatus, media.ReasonNotFound, media.ReasonReset, media.ReasonTruncated, media.ReasonEmpty,
		media.ReasonRedirect, media.ReasonTimeout,
	} {
		if allOfReasonZero(metrics, reason) {
			tb.Errorf("no download has failed as %s", reason)
		}
	}
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(tb), Name: tb.Name(), URL: "nats://" + s.nats})
	if err != nil {
		tb.Fatal(err)
	}
	defer b.Close()
	letters := make(map[string]bool)
	err = b.DeadLetters(tb.Context(), "", func(l broker.DeadLetter) error {
		letters[fmt.Sprintf("%s %s %s", l.Type, l.TaskID, l.Stage)] = true
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	archives := make(map[result.Archive]int)
	for _, doc := range lastResults(tb, b) {
		archives[doc.Archive]++
		lost := doc.Archive == result.Partial || doc.Archive == result.AllFailed
		if letters[fmt.Sprintf("%s %s complete", doc.Type, doc.TaskID)] != lost {
			tb.Errorf("%s %s: archive %s does not go with its dead letters", doc.Type, doc.TaskID, doc.Archive)
		}
	}
	if archives[result.Archived] == 0 || archives[result.Partial] == 0 || archives[result.AllFailed] == 0 {
		tb.Errorf("archives %v", archives)
	}
	if strings.Contains(s.err.String(), `"level":"ERROR"`) {
		tb.Error("the log has errors")
	}
}

func allOfReasonZero(metrics string, reason media.Reason) bool {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "fanfare_fetch_failures_total{") && strings.Contains(line, fmt.Sprintf("reason=%q", reason)) &&
			!strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return false
		}
	}
	return true
}

// TestSpoiltArchiveIsCalledWrong has a file replaced before its task is played:
// it is taken for archived already.
func TestSpoiltArchiveIsCalledWrong(t *testing.T) {
	t.Parallel()
	s := newStandalone(t)
	s.start(t)
	checkReport(t, s.simulate(t, 1, "--seed", "3", "--no-media-faults", "--no-failures"))
	files, err := filepath.Glob(filepath.Join(s.dir, "archive", "*", "*", "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	other := newStandalone(t)
	spoilt := 0
	for _, file := range files {
		if filepath.Base(file) == media.ManifestName {
			continue
		}
		in, err := filepath.Rel(s.dir, file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(other.dir, in)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(other.dir, in), []byte("spoilt"), 0o600); err != nil {
			t.Fatal(err)
		}
		spoilt++
	}
	if spoilt == 0 {
		t.Fatalf("no media among %q", files)
	}
	other.start(t)
	p := other.simulate(t, 1, "--seed", "3", "--no-media-faults", "--no-failures", "--settle", "1s")
	if status := p.wait(); status != 1 || !strings.Contains(p.out.String(), "is not what was served") {
		t.Errorf("status %d: %s", status, p.out.String())
	}
}
