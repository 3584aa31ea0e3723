// Package eventually waits for what is to happen in other processes.
//
// It polls and never sleeps for longer than it must; a wait that is in vain ends the
// test, saying for what.
package eventually

import (
	"testing"
	"time"
)

// Await asks every so often whether something has happened, for as long as patience
// lasts.
func Await(tb testing.TB, patience, every time.Duration, what string, happened func() bool) {
	tb.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("waited %v for %s", patience, what)
		}
	}
}
