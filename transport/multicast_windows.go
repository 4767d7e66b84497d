//pump: prepares multicast sockets.

package transport

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/windows"
)

// Options of ws2ipdef.h that the package windows lacks.
const (
	ipv6MulticastIf   = 9
	ipv6MulticastHops = 10
	ipv6MulticastLoop = 11
	ipv6AddMembership = 12
)

// prepareMulticast lets a socket share its port and hear what it sends.
func prepareMulticast(fd uintptr, v6 bool) error {
	s := windows.Handle(fd)
	if err := windows.SetsockoptInt(s, windows.SOL_SOCKET, windows.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if v6 {
		return errors.Join(
			windows.SetsockoptInt(s, windows.IPPROTO_IPV6, ipv6MulticastHops, multicastHops),
			windows.SetsockoptInt(s, windows.IPPROTO_IPV6, ipv6MulticastLoop, 1))
	}
	return errors.Join(
		windows.SetsockoptInt(s, windows.IPPROTO_IP, windows.IP_MULTICAST_TTL, multicastHops),
		windows.SetsockoptInt(s, windows.IPPROTO_IP, windows.IP_MULTICAST_LOOP, 1))
}

// joinMulticast joins a group on an interface; to have joined it already is no error.
func joinMulticast(fd uintptr, group netip.Addr, i multicastIf) (err error) {
	var mreq []byte
	if group.Is6() { // struct ipv6_mreq: the group, the interface's index
		mreq = binary.NativeEndian.AppendUint32(group.AsSlice(), uint32(i.index))
		err = windows.Setsockopt(windows.Handle(fd), windows.IPPROTO_IPV6, ipv6AddMembership, &mreq[0], int32(len(mreq)))
	} else { // struct ip_mreq: the group, an address of the interface
		mreq = append(group.AsSlice(), i.addr.AsSlice()...)
		err = windows.Setsockopt(windows.Handle(fd), windows.IPPROTO_IP, windows.IP_ADD_MEMBERSHIP, &mreq[0], int32(len(mreq)))
	}
	if errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEINVAL) {
		return nil
	}
	return err
}

// sendMulticastBy chooses the interface of what is sent next.
func sendMulticastBy(fd uintptr, i multicastIf) error {
	s := windows.Handle(fd)
	if i.addr.Is6() {
		return windows.SetsockoptInt(s, windows.IPPROTO_IPV6, ipv6MulticastIf, i.index)
	}
	a := i.addr.AsSlice()
	return windows.Setsockopt(s, windows.IPPROTO_IP, windows.IP_MULTICAST_IF, &a[0], int32(len(a)))
}
