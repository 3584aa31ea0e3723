//go:build linux || darwin

package media

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// locked runs do while no other goroutine or process is in it, for the few
// moments in which a temporary appears or becomes a file. Some network file
// systems cannot lock a directory: do then runs with exclusive false.
func (d *directory) locked(do func(exclusive bool) error) error {
	root, err := os.Open(d.root)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // unlocks
	switch err := flock(root, unix.LOCK_EX); {
	case err == nil:
		return do(true)
	case isUnsupported(err):
		return do(false)
	default:
		return &os.PathError{Op: "flock", Path: d.root, Err: err}
	}
}

// markAlive locks a temporary for as long as it is open: the kernel takes the
// mark away when the process dies.
func markAlive(temp *os.File) error {
	if err := flock(temp, unix.LOCK_EX|unix.LOCK_NB); err != nil && !isUnsupported(err) {
		return &os.PathError{Op: "flock", Path: temp.Name(), Err: err}
	}
	return nil
}

// removeIfDead removes a temporary that nobody has open, and reports whether it
// did.
func removeIfDead(path string) bool {
	temp, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // in the archive, by a name that was listed
	if err != nil {
		return false
	}
	defer func() { _ = temp.Close() }()
	return flock(temp, unix.LOCK_EX|unix.LOCK_NB) == nil && os.Remove(path) == nil //nolint:gosec // as above
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// isUnsupported reports what file systems answer that cannot lock; NFS answers
// EBADF, since it asks for a file open for writing.
func isUnsupported(err error) bool {
	return errors.Is(err, unix.EBADF) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP) ||
		errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.ENOSYS)
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path) //nolint:gosec // a directory of the archive
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		_ = dir.Close()
		return err
	}
	return dir.Close()
}

func (d *directory) freeBytes() (uint64, bool) {
	var stat unix.Statfs_t
	if err := unix.Statfs(d.root, &stat); err != nil || stat.Bsize <= 0 {
		return 0, false
	}
	return stat.Bavail * uint64(stat.Bsize), true
}
