//go:build !linux && !darwin

package media

import "os"

// Here a directory can be neither locked nor synced: leftovers of dead processes
// stay, and how durable a name is depends on the system.

func (d *directory) locked(do func(exclusive bool) error) error { return do(false) }

func (d *directory) freeBytes() (uint64, bool) { return 0, false }

func markAlive(*os.File) error { return nil }

func removeIfDead(string) bool { return false }

func syncDir(string) error { return nil }
