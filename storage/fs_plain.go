//go:build !unix || aix || solaris || illumos

//pump: around what is left on other systems.

package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

func links(fs.FileInfo) int64 { return -1 }

// moveBetween renames across two roots. The paths have been checked by opening
// their folders; there is no call that takes descriptors here.
func moveBetween(from *osRoot, name string, to *osRoot, toName string) error {
	err := os.Rename(filepath.Join(from.dir, filepath.FromSlash(name)), filepath.Join(to.dir, filepath.FromSlash(toName)))
	var no syscall.Errno
	if errors.As(err, &no) && crossDevice(no) {
		return ErrCrossDevice
	}
	return err
}

// syncDir does nothing: folders can't be synced here.
func syncDir(*os.File) error { return nil }

// tooMany reports whether no more files can be opened.
func tooMany(err error) bool { return errors.Is(err, syscall.EMFILE) }

func maxOpenFiles() int { return DefaultMaxFiles }
