//go:build unix

//pump: waits for a socket to become readable.

package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// newSource chooses how to read: TCP sockets are waited for without a buffer.
func newSource(c *conn) source {
	t, ok := c.nc.(*net.TCPConn)
	if !ok {
		return &plainSource{c: c}
	}
	rc, err := t.SyscallConn()
	if err != nil {
		return &plainSource{c: c}
	}
	s := &rawSource{c: c, rc: rc}
	s.attempt = s.try
	return s
}

// rawSource reads from a TCP socket, with a scratch only while there is something
// to read.
type rawSource struct {
	c       *conn
	rc      syscall.RawConn
	attempt func(uintptr) bool // s.try, made once

	wait bool
	buf  *scratch
	n    int
	full bool
	err  error
}

func (s *rawSource) next(wait bool) ([]byte, bool, error) {
	if wait && s.c.awaitGrant() <= 0 {
		return nil, false, nil
	}
	s.wait, s.n, s.full, s.err = wait, 0, false, nil
	if err := s.rc.Read(s.attempt); err != nil {
		return nil, false, err
	}
	if s.n == 0 {
		return nil, false, s.err
	}
	return s.buf[:s.n], s.full, nil
}

// try reads once. It returns false to be called again when the socket is readable;
// the poller forgets earlier readiness when a call begins, so only a read that
// found nothing may decide to wait.
func (s *rawSource) try(fd uintptr) bool {
	limit := s.c.allowance()
	if limit <= 0 {
		return true
	}
	if s.buf == nil {
		s.buf = scratches.Get().(*scratch)
	}
	b := s.buf[:min(scratchSize, limit)]
	n, err := readFD(int(fd), b)
	switch {
	case errors.Is(err, syscall.EAGAIN) && s.wait:
		s.free()
		return false
	case errors.Is(err, syscall.EAGAIN):
	case err != nil:
		s.err = os.NewSyscallError("read", err)
	case n == 0:
		s.err = io.EOF
	default:
		s.n, s.full = n, n == len(b)
	}
	return true
}

func readFD(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func (s *rawSource) free() {
	if s.buf != nil {
		scratches.Put(s.buf)
		s.buf = nil
	}
}
