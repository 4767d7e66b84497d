//pump: reads datagrams from a socket, many with one system call.

package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// readBatch is how many messages a system call may bring. Each is a datagram, or
	// a train that the system has put together again (UDP_GRO).
	readBatch = 8
	// controlSize has room for the one control message that is asked for, and more.
	controlSize = 64
)

// message is what the system calls struct mmsghdr.
type message struct {
	hdr unix.Msghdr
	n   uint32 // bytes received
}

// inbox is what one system call fills. A socket has one only while there is
// something to read: those that are idle hold nothing.
type inbox struct {
	messages [readBatch]message
	iovs     [readBatch]unix.Iovec
	names    [readBatch][unix.SizeofSockaddrInet6]byte
	controls [readBatch][controlSize]byte
	packets  [readBatch]*Packet // of longTrain bytes
}

var inboxes = sync.Pool{New: func() any {
	in := new(inbox)
	for i := range in.messages {
		h := &in.messages[i].hdr
		h.Name, h.Control, h.Iov = &in.names[i][0], &in.controls[i][0], &in.iovs[i]
		h.SetIovlen(1)
		in.iovs[i].SetLen(longTrain)
		in.refill(i)
	}
	return in
}}

// refill gives a message an empty packet.
func (in *inbox) refill(i int) {
	in.packets[i] = newPacket(longTrain)
	in.iovs[i].Base = unsafe.SliceData(in.packets[i].Data)
}

// receive fills the inbox with what is there, without waiting.
func (in *inbox) receive(fd int) (int, syscall.Errno) {
	for i := range in.messages {
		h := &in.messages[i].hdr
		h.Namelen, h.Flags = unix.SizeofSockaddrInet6, 0
		h.SetControllen(controlSize)
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.messages[0])), readBatch, unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// intake is the pump's state.
type intake struct {
	udp     *udp
	rc      syscall.RawConn
	attempt func(uintptr) bool // r.try, made once

	in    *inbox // nil while it waits
	n     int    // messages in it
	err   error
	zones map[uint32]string
}

// pump reads until Close.
func (u *udp) pump() {
	rc, err := u.conn.SyscallConn()
	if err != nil {
		return // it has been closed
	}
	r := &intake{udp: u, rc: rc}
	r.attempt = r.try
	for pause := (rest{}); ; {
		if err := r.read(); err == nil {
			pause = rest{}
		} else if pause.ends(u, err) {
			break
		}
	}
	r.idle()
}

// read waits for messages and hands them on.
func (r *intake) read() error {
	r.n, r.err = 0, nil
	if err := r.rc.Read(r.attempt); err != nil {
		return err
	}
	for i := range r.n {
		r.take(i)
	}
	return r.err
}

// try reads once. It returns false to be called again when the socket is readable.
func (r *intake) try(fd uintptr) bool {
	if r.in == nil {
		r.in = inboxes.Get().(*inbox)
	}
	n, errno := r.in.receive(int(fd))
	switch errno {
	case 0:
		r.n = n
	case unix.EAGAIN:
		r.idle()
		return false
	default:
		r.err = os.NewSyscallError("recvmmsg", errno)
	}
	return true
}

func (r *intake) idle() {
	if r.in != nil {
		inboxes.Put(r.in)
		r.in = nil
	}
}

// take hands on a message.
func (r *intake) take(i int) {
	m := &r.in.messages[i]
	from, ok := r.source(r.in.names[i][:min(m.hdr.Namelen, unix.SizeofSockaddrInet6)])
	if !ok || m.hdr.Flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		r.udp.oversize.Add(1)
		return
	}
	data := r.in.packets[i].Data[:m.n]
	segment := segmentSize(r.in.controls[i][:min(m.hdr.Controllen, controlSize)])
	switch {
	case segment <= 0 || len(data) <= segment:
		r.udp.deliver(from, data)
	case len(data) <= shortTrain:
		r.udp.deliverTrain(from, data, segment, nil)
	case r.udp.deliverTrain(from, data, segment, r.in.packets[i]):
		r.in.refill(i)
	}
}

// source reads a struct sockaddr_in or sockaddr_in6. Its family is in the machine's
// order, its port in the network's.
func (r *intake) source(b []byte) (netip.AddrPort, bool) {
	if len(b) < unix.SizeofSockaddrInet4 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(b[2:])
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port), true
	case family == unix.AF_INET6 && len(b) >= unix.SizeofSockaddrInet6:
		ip := netip.AddrFrom16([16]byte(b[8:24])).Unmap()
		if zone := binary.NativeEndian.Uint32(b[24:]); zone != 0 && ip.Is6() {
			ip = ip.WithZone(r.zone(zone))
		}
		return netip.AddrPortFrom(ip, port), true
	}
	return netip.AddrPort{}, false
}

// zone returns the name of the interface that a link-local address came by.
func (r *intake) zone(id uint32) string {
	if name, known := r.zones[id]; known {
		return name
	}
	name := strconv.FormatUint(uint64(id), 10)
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		name = i.Name
	}
	if r.zones == nil || len(r.zones) >= maxZones {
		r.zones = map[uint32]string{}
	}
	r.zones[id] = name
	return name
}

// segmentSize returns the size of a train's datagrams as the control messages of a
// message say it, or 0 for a single datagram.
func segmentSize(control []byte) int {
	for len(control) >= unix.SizeofCmsghdr {
		h, data, more, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return 0
		}
		if h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4 {
			return int(min(binary.NativeEndian.Uint32(data), longTrain))
		}
		control = more
	}
	return 0
}
