package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"fanfare/pkg/eventually"
)

// openTerminal returns a terminal for a program to write to, and what it shows.
func openTerminal(tb testing.TB) (terminal *os.File, shown *output) {
	tb.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		tb.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		tb.Fatal(err)
	}
	if terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = terminal.Close() })
	shown = new(output)
	go func() { _, _ = io.Copy(shown, screen) }()
	return terminal, shown
}

// Lines are for files and programs; who watches sees a bar, and what went wrong.
func TestReplayShowsItsProgressOnATerminal(t *testing.T) {
	t.Parallel()
	m := startMourning(t)
	m.bury(t, "wav", tasks(4)...)
	if _, err := m.js.PublishMsg(t.Context(), nats.NewMsg("dead-letters.wav")); err != nil {
		t.Fatal(err)
	}
	m.mend()
	terminal, shown := openTerminal(t)
	var out output
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), built.fanfare(), "dead-letter", "replay", "--all", "--nats-url", "nats://"+m.nats)
	cmd.Stdout, cmd.Stderr = &out, terminal
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	eventually.Await(t, "the end is shown", func() bool { return strings.Contains(shown.String(), "1 of 5 dead letters could not be redelivered") })
	for _, want := range []string{"redelivered", "100%", "(5/5"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("the terminal does not show %q: %q", want, shown.String())
		}
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "5  wav  stays: ") || strings.Contains(got, "%") {
		t.Errorf("stdout is %q", got)
	}
}
