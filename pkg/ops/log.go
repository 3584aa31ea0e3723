package ops

import (
	"io"
	"log/slog"
	"os"
)

// NewLogger returns a logger of JSON lines with the process's role in each.
// Messages below level are left out.
func NewLogger(w io.Writer, level slog.Level, role string) *slog.Logger {
	logger := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	return logger.With("role", role, "pid", os.Getpid())
}
