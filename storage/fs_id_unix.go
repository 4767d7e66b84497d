//go:build unix && !linux && !aix && !solaris && !illumos

//pump: around what Unix systems but Linux share.

package storage

import "golang.org/x/sys/unix"

// identify names a file by its device and its number there. Numbers of files on
// servers and on foreign file systems are taken as they are.
func identify(f *osFile) (FileID, fsKind) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return FileID{}, fsKind{}
	}
	return FileID{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}, fsKind{}
}
