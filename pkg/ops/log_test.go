package ops_test

import (
	"bytes"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/ops"
)

// line is one line of the log.
type line struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"`
	Msg   string    `json:"msg"`
	Role  string    `json:"role"`
	PID   int       `json:"pid"`
	Bytes int       `json:"bytes"`
}

// read reads what was logged; every line must be one JSON object of known
// members.
func read(tb testing.TB, log *bytes.Buffer) []line {
	tb.Helper()
	var lines []line
	for text := range strings.Lines(log.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l, json.RejectUnknownMembers(true)); err != nil {
			tb.Fatalf("line %q: %v", text, err)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestLogLinesAreJSONWithRoleAndPID(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	begun := time.Now()
	ops.NewLogger(&log, slog.LevelInfo, "gateway").Info("callback \"stored\"\nnot forged", "bytes", 17)
	lines := read(t, &log)
	if len(lines) != 1 || lines[0].Time.Before(begun.Truncate(0).Add(-time.Second)) {
		t.Fatalf("lines %+v", lines)
	}
	lines[0].Time = time.Time{}
	want := line{Level: "INFO", Msg: "callback \"stored\"\nnot forged", Role: "gateway", PID: os.Getpid(), Bytes: 17}
	if lines[0] != want {
		t.Errorf("line %+v, want %+v", lines[0], want)
	}
}

func TestMessagesBelowTheLevelAreLeftOut(t *testing.T) {
	t.Parallel()
	all := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	for i, level := range all {
		var log bytes.Buffer
		logger := ops.NewLogger(&log, level, "test")
		for _, at := range all {
			logger.Log(t.Context(), at, "said")
		}
		var said, want []string
		for _, l := range read(t, &log) {
			said = append(said, l.Level)
		}
		for _, at := range all[i:] {
			want = append(want, at.String())
		}
		if !slices.Equal(said, want) {
			t.Errorf("at level %s the log has %v, want %v", level, said, want)
		}
	}
}
