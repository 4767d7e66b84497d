//go:build !windows && (!unix || aix || solaris || illumos)

//pump: around what systems without locks have.

package storage

import (
	"errors"
	"os"
	"syscall"
)

// lockFile can't lock here: two sessions on one folder are the user's affair.
func lockFile(*os.File, bool) error { return nil }

func lockPayload(*os.File) error { return nil }

// identify can't tell files apart.
func identify(*osFile) (FileID, fsKind) { return FileID{}, fsKind{late: true} }

func crossDevice(no syscall.Errno) bool { return no == syscall.EXDEV }

// noSpace reports whether an error means that the disk, or a quota, is full.
func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }
