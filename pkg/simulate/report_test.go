package simulate

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestReportFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report Report
		want   bool
	}{
		"all well":        {Report{Tasks: 2, AsExpected: 2}, false},
		"repeats":         {Report{Tasks: 2, AsExpected: 2, Repeats: 5}, false},
		"given up":        {Report{Tasks: 2, AsExpected: 2, GaveUp: 1}, false},
		"missing":         {Report{Tasks: 2, AsExpected: 1, Missing: 1}, true},
		"wrong":           {Report{Tasks: 2, AsExpected: 1, Wrong: 1}, true},
		"cut short":       {Report{Tasks: 2}, true},
		"media faults":    {Report{Tasks: 2, AsExpected: 2, MediaFaults: 9}, false},
		"trapped":         {Report{Tasks: 2, AsExpected: 2, Trapped: 1}, true},
		"nothing to play": {Report{}, false},
	} {
		if got := c.report.Failed(); got != c.want {
			t.Errorf("%s: failed is %t", name, got)
		}
	}
}

func TestReportTable(t *testing.T) {
	t.Parallel()
	report := Report{Seed: 7, Tasks: 20, Duration: 1500 * time.Millisecond}
	findings := []finding{{state: asExpected}, {}}
	for range 12 {
		findings = append(findings, finding{want: want("a****b"), state: wrong, reason: `code 0, want 200`})
	}
	report.count(append(findings, finding{want: want("c"), state: missing, reason: "no result"}))
	if report.AsExpected != 1 || report.Wrong != 12 || report.Missing != 1 {
		t.Errorf("report %+v", report)
	}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"seed            7\n", "wrong           12\n", "duration        1.5s\n", "wav a****b  code 0, want 200\n"} {
		if !strings.Contains(table.String(), line) {
			t.Errorf("no line %q in\n%s", line, &table)
		}
	}
	if n := strings.Count(table.String(), "a****b"); n != maxDeviations {
		t.Errorf("%d deviations, want %d", n, maxDeviations)
	}
	if err := report.WriteTable(broken{}); err == nil {
		t.Error("no error of a broken writer")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestProgressIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lines, bar bytes.Buffer
		p := progress{logger: slog.New(slog.NewTextHandler(&lines, nil)), writer: &bar}
		var done atomic.Int64
		stop := p.follow("callbacks delivered", 100, done.Load)
		done.Store(40)
		pause(t.Context(), 25*time.Second)
		stop()
		if n := strings.Count(lines.String(), "done=40 total=100"); n != 3 {
			t.Errorf("%d lines, want 3:\n%s", n, &lines)
		}
		if bar.Len() > 0 {
			t.Errorf("a bar although nobody looks: %q", &bar)
		}
	})
}

func TestProgressIsDrawn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		show, end := progress{writer: &out}.bar("results as expected", 100)
		for n := range int64(101) {
			show(n)
		}
		show(100)
		end()
		if s := out.String(); !strings.Contains(s, "results as expected") || !strings.Contains(s, "100/100") || !strings.HasSuffix(s, "\n") {
			t.Errorf("drawn %q", s)
		}
	})
}

func TestNoProgressWithoutWriter(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	progress{logger: slog.New(slog.NewTextHandler(&lines, nil))}.follow("x", 1, func() int64 { return 1 })()
	if lines.Len() > 0 {
		t.Errorf("logged %q", &lines)
	}
}
