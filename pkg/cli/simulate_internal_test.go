package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"fanfare/pkg/simulate"
)

// parseSimulate parses a command line of simulate.
func parseSimulate(t *testing.T, args ...string) (*Simulate, *kong.Kong) {
	t.Helper()
	var c Simulate
	k, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &c, k
}

// TestMediaFaultsHaveSwitches holds the flags and the README against the one
// table of media faults.
func TestMediaFaultsHaveSwitches(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]string{"media-faults": "Serve media badly; each way has a switch of its own."}
	for _, f := range simulate.MediaFaults() {
		wanted["media-"+f.Name] = f.Does
		if n := strings.Count(string(readme), "`"+f.Name+"`"); n != 1 {
			t.Errorf("the README names the media fault %s %d times", f.Name, n)
		}
	}
	c, k := parseSimulate(t)
	for _, flag := range k.Model.Flags {
		if !strings.HasPrefix(flag.Name, "media-") || flag.Name == "media-listen" || flag.Name == "media-url" {
			continue
		}
		if help, there := wanted[flag.Name]; !there || flag.Help != help || flag.Default != "true" || flag.Tag.Negatable == "" {
			t.Errorf("flag %s is by default %s: %q, want %q", flag.Name, flag.Default, flag.Help, help)
		}
		delete(wanted, flag.Name)
	}
	if len(wanted) > 0 {
		t.Errorf("no flag for %v", wanted)
	}
	if off := c.hostility().NoMediaFaults; len(off) > 0 {
		t.Errorf("off without being switched off: %v", off)
	}
}

func TestMediaSwitchesSwitchTheirFaultOff(t *testing.T) {
	t.Parallel()
	var all []string
	for _, f := range simulate.MediaFaults() {
		all = append(all, f.Name)
		c, _ := parseSimulate(t, "--no-media-"+f.Name)
		if off := c.hostility().NoMediaFaults; !slices.Equal(off, []string{f.Name}) {
			t.Errorf("--no-media-%s switches off %v", f.Name, off)
		}
	}
	c, _ := parseSimulate(t, "--no-media-faults")
	if off := c.hostility().NoMediaFaults; !slices.Equal(off, all) {
		t.Errorf("--no-media-faults switches off %v", off)
	}
}

// A run in which every callback comes needs nobody who asks, and tells nobody.
func TestTasksAreAnnouncedWhereCallbacksAreMissed(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]bool{
		"--tasks=5": false, "--unannounced=0.5": false, "--drop=0.1": true, "--delay=0.1": true, "--race=0.1": true, "--poll-errors=0.1": true, "--announce": true,
	} {
		c, _ := parseSimulate(t, flag)
		if got := c.announcer(nil) != nil; got != want {
			t.Errorf("%s: announced is %t", flag, got)
		}
	}
	c, _ := parseSimulate(t, "--drop=0.1", "--delay=0.2", "--race=0.3", "--unannounced=0.4", "--poll-errors=0.5", "--poll-budget=6")
	if m := c.missed(); m != (simulate.Missed{Drop: 0.1, Delay: 0.2, Race: 0.3, Unannounced: 0.4, PollErrors: 0.5, PollBudget: 6}) {
		t.Errorf("%+v", m)
	}
}
