package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens both ends of a terminal.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// On a terminal it shows how much has been read, and leaves the findings alone.
func TestArchiveVerifyOnATerminal(t *testing.T) {
	t.Parallel()
	a := newTestArchive(t)
	a.spoil(t)
	ours, theirs := terminal(t)
	var out bytes.Buffer
	command := exec.CommandContext(t.Context(), built.fanfare(), "archive", "verify", "--archive-url", "file://"+a.dir)
	command.Stdout, command.Stderr = &out, theirs
	if err := command.Run(); command.ProcessState.ExitCode() != 1 {
		t.Errorf("status %d, %v", command.ProcessState.ExitCode(), err)
	}
	_ = theirs.Close()
	shown, _ := io.ReadAll(ours) // ends with an error, as terminals do
	if !strings.Contains(string(shown), "verifying") || !strings.Contains(string(shown), "the archive is damaged") {
		t.Errorf("the terminal showed %q", shown)
	}
	if said := out.String(); strings.Contains(said, "verifying") || strings.Count(said, "\n") != 16 {
		t.Errorf("the output was %q", said)
	}
}
