// Package eventually waits, in tests, for what must come.
//
// It polls, says nothing about how fast something should be, and ends the test when
// the wait is in vain.
package eventually

import (
	"testing"
	"time"
)

const (
	patience = 3 * time.Minute
	pause    = 10 * time.Millisecond
)

// Await waits until something has happened.
func Await(tb testing.TB, what string, happened func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !happened(); {
		if time.Now().After(deadline) {
			tb.Fatalf("never: %s", what)
		}
		<-time.After(pause)
	}
}
