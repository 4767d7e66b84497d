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

// Kinds of file systems by their magic numbers; others are as they should be.
var fsKinds = map[uint32]fsKind{
	unix.BTRFS_SUPER_MAGIC: {noReserve: true},
	0x2fc12fc1:             {noReserve: true}, // ZFS
	0xca451a4e:             {noReserve: true}, // bcachefs
	unix.NFS_SUPER_MAGIC:   {noReserve: true, late: true},
	unix.SMB_SUPER_MAGIC:   {noReserve: true, late: true, renumbers: true, noLock: true},
	0xff534d42:             {noReserve: true, late: true, renumbers: true, noLock: true}, // CIFS
	0xfe534d42:             {noReserve: true, late: true, renumbers: true, noLock: true}, // SMB 2
	0x00c36400:             {noReserve: true, late: true},                                // Ceph
	unix.V9FS_MAGIC:        {noReserve: true, late: true, renumbers: true},
	0x65735546:             {noReserve: true, late: true, renumbers: true}, // FUSE
	unix.MSDOS_SUPER_MAGIC: {renumbers: true, late: true},
	unix.EXFAT_SUPER_MAGIC: {renumbers: true, late: true},
}

// identify names a file by its device, its number there and when it was made.
func identify(f *osFile) (id FileID, kind fsKind) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(f.fd, &fs); err == nil {
		kind = fsKinds[uint32(fs.Type)]
	}
	var x unix.Statx_t
	if err := unix.Statx(f.fd, "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &x); err != nil {
		var st unix.Stat_t
		if err := unix.Fstat(f.fd, &st); err != nil {
			return FileID{}, kind
		}
		return FileID{Dev: st.Dev, Ino: st.Ino}, kind
	}
	id = FileID{Dev: unix.Mkdev(x.Dev_major, x.Dev_minor), Ino: x.Ino}
	if x.Mask&unix.STATX_BTIME != 0 {
		id.Birth = x.Btime.Sec*1e9 + int64(x.Btime.Nsec)
	}
	return id, kind
}

func allocate(f *osFile, size int64) error {
	if f.identity(); f.kind.noReserve {
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
