//go:build unix

//pump: prepares multicast sockets.

package transport

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// prepareMulticast lets a socket share its port and hear what it sends.
func prepareMulticast(fd uintptr, v6 bool) error {
	s := int(fd)
	if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := reusePort(s); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if v6 {
		onlyJoined6(s)
		return errors.Join(
			unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, multicastHops),
			unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 1))
	}
	onlyJoined4(s)
	return errors.Join(
		unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, multicastHops),
		unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1))
}

// joinMulticast joins a group on an interface; to have joined it already is no error.
func joinMulticast(fd uintptr, group netip.Addr, i multicastIf) (err error) {
	if group.Is6() {
		err = unix.SetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(i.index)})
	} else {
		err = unix.SetsockoptIPMreq(int(fd), unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
			&unix.IPMreq{Multiaddr: group.As4(), Interface: i.addr.As4()})
	}
	if errors.Is(err, unix.EADDRINUSE) {
		return nil
	}
	return err
}

// sendMulticastBy chooses the interface of what is sent next.
func sendMulticastBy(fd uintptr, i multicastIf) error {
	if i.addr.Is6() {
		return unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, i.index)
	}
	return unix.SetsockoptInet4Addr(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, i.addr.As4())
}
