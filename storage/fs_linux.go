//pump: around what only Linux has.

package storage

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Types of file systems where reserved space is written elsewhere later, so that
// reserving only costs, or where it goes over a network.
var noReserve = map[uint32]bool{
	unix.BTRFS_SUPER_MAGIC: true,
	0x2fc12fc1:             true, // ZFS
	0xca451a4e:             true, // bcachefs
	unix.NFS_SUPER_MAGIC:   true,
	unix.SMB_SUPER_MAGIC:   true,
	0xff534d42:             true, // CIFS
	0xfe534d42:             true, // SMB 2
	0x00c36400:             true, // Ceph
	unix.V9FS_MAGIC:        true,
	0x65735546:             true, // FUSE
}

func allocate(f *osFile, size int64) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(f.fd, &fs); err == nil && noReserve[uint32(fs.Type)] {
		return errors.ErrUnsupported
	}
	for {
		err := unix.Fallocate(f.fd, 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return errors.ErrUnsupported
		}
		return os.NewSyscallError("fallocate", err)
	}
}

// rwfDontCache is RWF_DONTCACHE of Linux 6.14: "pages are dropped after writeback".
// Written this way a block is on its way to the device at once, and the next one
// reuses its pages: memory that was never used before is expensive, above all in
// virtual machines (ADR 0006).
const rwfDontCache = 0x80

func writePast(f *osFile, bufs [][]byte, off int64) (int, error) {
	return transfer(f, "write", bufs, off, func(fd int, vec [][]byte, off int64) (int, error) {
		if !f.cached.Load() {
			n, err := unix.Pwritev2(fd, vec, off, rwfDontCache)
			if !unknownFlag(err) {
				return n, err
			}
			f.cached.Store(true)
		}
		return unix.Pwritev(fd, vec, off)
	})
}

// unknownFlag reports whether the kernel or the file system does not know the flag.
func unknownFlag(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL)
}

func nextData(f *osFile, off int64) (int64, error) {
	at, err := unix.Seek(f.fd, off, unix.SEEK_DATA)
	switch {
	case err == nil:
		return at, nil
	case errors.Is(err, unix.ENXIO): // nothing but a hole up to the end
		st, err := f.f.Stat()
		if err != nil {
			return off, err
		}
		return max(st.Size(), off), nil
	}
	return off, nil
}

func syncData(f *osFile) error {
	for {
		if err := unix.Fdatasync(f.fd); !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
