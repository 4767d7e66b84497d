//go:build unix

//pump: sends datagrams, without waiting.

package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// sender writes datagrams straight to the socket, for as long as the system takes
// them at once.
type sender struct {
	rc      syscall.RawConn
	attempt func(uintptr) bool // s.try, made once

	mu    sync.Mutex // guards all below; held for a system call that does not wait
	to4   unix.SockaddrInet4
	to6   unix.SockaddrInet6
	v6    bool
	b     []byte
	seg   segmenter
	err   error
	zones map[string]uint32
}

func (s *sender) init(u *udp) (err error) {
	s.v6, s.attempt = u.v6, s.try
	s.rc, err = u.conn.SyscallConn()
	return err
}

func (s *sender) close() {}

func (s *sender) send(to netip.AddrPort, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aimLocked(to)
	return s.putLocked(b)
}

// aimLocked says where the next datagrams go.
func (s *sender) aimLocked(to netip.AddrPort) {
	if s.v6 {
		s.to6.Port, s.to6.Addr, s.to6.ZoneId = int(to.Port()), to.Addr().As16(), s.zoneLocked(to.Addr().Zone())
	} else {
		s.to4.Port, s.to4.Addr = int(to.Port()), to.Addr().As4()
	}
}

// putLocked makes one system call.
func (s *sender) putLocked(b []byte) error {
	s.b, s.err = b, nil
	err := s.rc.Write(s.attempt)
	s.b = nil
	if err != nil {
		return ErrClosed
	}
	return s.err
}

// try sends once. It never asks to be called again when the socket is writable.
func (s *sender) try(fd uintptr) bool {
	var to unix.Sockaddr = &s.to4
	if s.v6 {
		to = &s.to6
	}
	err := s.sendto(int(fd), to)
	for errors.Is(err, unix.EINTR) {
		err = s.sendto(int(fd), to)
	}
	switch {
	case err == nil:
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS):
		s.err = ErrDropped
	case errors.Is(err, unix.EMSGSIZE):
		s.err = ErrTooBig
	default:
		s.err = os.NewSyscallError("sendto", err)
	}
	return true
}

// maxZones bounds the names that are remembered; a machine has few interfaces.
const maxZones = 64

// zoneLocked returns the number of the interface that a link-local address names.
func (s *sender) zoneLocked(name string) uint32 {
	if name == "" {
		return 0
	}
	if id, known := s.zones[name]; known {
		return id
	}
	var id uint32
	if i, err := net.InterfaceByName(name); err == nil {
		id = uint32(i.Index)
	} else if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		id = uint32(n)
	}
	if s.zones == nil || len(s.zones) >= maxZones {
		s.zones = map[string]uint32{}
	}
	s.zones[name] = id
	return id
}

// tooLong reports whether a read failed because the datagram was larger than its
// buffer: here such are cut.
func tooLong(error) bool { return false }

// passing reports whether a read's error is about one datagram that was sent before.
func passing(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) ||
		errors.Is(err, unix.EMSGSIZE)
}
