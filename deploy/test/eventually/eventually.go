// Package eventually waits for what is to happen in other processes.
//
// It polls, and a wait that is in vain ends the test, saying for what.
package eventually

import (
	"testing"
	"time"
)

const (
	patience = 5 * time.Minute // containers take that long
	pause    = 100 * time.Millisecond
)

// Await waits until something has happened.
func Await(tb testing.TB, what string, happened func() bool) {
	tb.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("waited %v for %s", patience, what)
		}
	}
}
