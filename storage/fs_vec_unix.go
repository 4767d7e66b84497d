//go:build linux || darwin || openbsd

//pump: around preadv and pwritev.

package storage

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxVec is how many buffers go into one call. POSIX lets a system refuse more
// than IOV_MAX, which is 1024; 64 slots are the best write measured.
const maxVec = 64

func readV(f *osFile, bufs [][]byte, off int64) (int, error) {
	return transfer(f, "read", bufs, off, unix.Preadv)
}

func writeV(f *osFile, bufs [][]byte, off int64) (int, error) {
	return transfer(f, "write", bufs, off, unix.Pwritev)
}

// transfer repeats call until all is transferred. A short transfer goes on where it
// ended; the caller's slices are left as they were.
func transfer(f *osFile, op string, bufs [][]byte, off int64, call func(int, [][]byte, int64) (int, error)) (done int, err error) {
	var rest [maxVec][]byte
	for len(bufs) > 0 {
		vec := bufs[:min(len(bufs), maxVec)]
		bufs = bufs[len(vec):]
		for len(vec) > 0 {
			n, err := call(f.fd, vec, off)
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
				continue
			}
			if err == nil && n == 0 && !empty(vec) {
				return done, atEnd(op)
			}
			if err != nil {
				return done, os.NewSyscallError(op, err)
			}
			done, off = done+n, off+int64(n)
			vec = advance(rest[:0], vec, n)
		}
	}
	return done, nil
}

func atEnd(op string) error {
	if op == "read" {
		return io.ErrUnexpectedEOF
	}
	return io.ErrShortWrite
}

func empty(vec [][]byte) bool {
	for _, b := range vec {
		if len(b) > 0 {
			return false
		}
	}
	return true
}

// advance returns what is left of vec after n bytes, in the memory of dst if a
// buffer has to be cut.
func advance(dst, vec [][]byte, n int) [][]byte {
	i := 0
	for i < len(vec) && n >= len(vec[i]) {
		n -= len(vec[i])
		i++
	}
	if n == 0 {
		return vec[i:]
	}
	dst = append(dst, vec[i][n:])
	return append(dst, vec[i+1:]...)
}
