//pump: around what only Windows has.

package storage

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// bootID is the time of the start in minutes. If the clock is set in between, what
// was written and not synced is hashed again, which does no harm.
func bootID() string {
	return strconv.FormatInt(time.Now().Add(-windows.DurationSinceBoot()).Unix()/60, 10)
}

func lockFile(f *os.File, exclusive bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return err
}

// lockPayload locks one byte far behind the end of a file that is written. Locks are
// mandatory here: whoever reads must not meet it.
func lockPayload(f *os.File) error {
	far := &windows.Overlapped{Offset: 0xfffffffe, OffsetHigh: 0x7fffffff}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_FAIL_IMMEDIATELY|windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, far)
	switch {
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION):
		return ErrLocked
	case err != nil:
		return nil // a server without locks
	}
	return nil
}

// identify names a file by its volume, its number there and when it was made. A
// file's time is settled when it is closed.
func identify(f *osFile) (FileID, fsKind) {
	kind := fsKind{late: true}
	var i windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(f.f.Fd()), &i); err != nil {
		return FileID{}, kind
	}
	return FileID{
		Dev:   uint64(i.VolumeSerialNumber),
		Ino:   uint64(i.FileIndexHigh)<<32 | uint64(i.FileIndexLow),
		Birth: i.CreationTime.Nanoseconds(),
	}, kind
}

func crossDevice(no syscall.Errno) bool { return no == windows.ERROR_NOT_SAME_DEVICE }

// noSpace reports whether an error means that the disk, or a quota, is full.
func noSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, syscall.ENOSPC)
}
