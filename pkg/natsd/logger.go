package natsd

import (
	"fmt"
	"log/slog"
)

// logger hands the server's log to slog. The server goes on after what it calls
// fatal, such as a port that is taken; fatal holds the first of these.
type logger struct {
	slog  *slog.Logger
	fatal chan string
}

func newLogger(l *slog.Logger) *logger {
	return &logger{slog: l.With("component", "nats-server"), fatal: make(chan string, 1)}
}

// Noticef logs below the level of fanfare's own messages: the server is chatty.
func (l *logger) Noticef(format string, v ...any) {
	l.slog.Debug("server notice", "detail", fmt.Sprintf(format, v...))
}

func (l *logger) Warnf(format string, v ...any) {
	l.slog.Warn("server warning", "detail", fmt.Sprintf(format, v...))
}

func (l *logger) Errorf(format string, v ...any) {
	l.slog.Error("server error", "detail", fmt.Sprintf(format, v...))
}

func (l *logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.slog.Error("server error", "detail", text)
	select {
	case l.fatal <- text:
	default: // an earlier one is there
	}
}

func (l *logger) Debugf(format string, v ...any) {
	l.slog.Debug("server detail", "detail", fmt.Sprintf(format, v...))
}

func (l *logger) Tracef(string, ...any) {}
