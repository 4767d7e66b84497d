//go:build unix && !aix && !solaris && !illumos

//pump: around what Unix systems share.

package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

func links(st fs.FileInfo) int64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return int64(s.Nlink)
	}
	return -1
}

func lockFile(f *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); {
		case err == nil, errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOLCK):
			return nil // without locks, as on some servers, we can but trust the user
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrLocked
		default:
			return os.NewSyscallError("flock", err)
		}
	}
}

// lockPayload locks a file that is written.
func lockPayload(f *os.File) error { return lockFile(f, true) }

// moveBetween renames across two roots, by their folders' descriptors, so that no
// path is looked up outside of them.
func moveBetween(from *osRoot, name string, to *osRoot, toName string) error {
	src, err := from.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.Open(path.Dir(toName))
	if err != nil {
		return err
	}
	defer dst.Close()
	err = unix.Renameat(int(src.Fd()), path.Base(name), int(dst.Fd()), path.Base(toName))
	if errors.Is(err, unix.EXDEV) {
		return ErrCrossDevice
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: name, New: toName, Err: err}
	}
	return nil
}

func syncDir(d *os.File) error {
	err := unix.Fsync(int(d.Fd()))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil // a file system that has no such notion
	}
	return os.NewSyscallError("fsync", err)
}

// noSpace reports whether an error means that the disk, or a quota, is full.
func noSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// tooMany reports whether no more files can be opened.
func tooMany(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }

// maxOpenFiles is what the pool may keep open: a quarter of what the process may,
// since sockets need the rest.
func maxOpenFiles() int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return DefaultMaxFiles
	}
	return int(min(max(lim.Cur/4, 16), DefaultMaxFiles))
}
