//go:build darwin || freebsd

//pump: prepares sockets.

package transport

import (
	"net"

	"golang.org/x/sys/unix"
)

// setDatagrams asks that datagrams are never cut into fragments: uTP finds out itself
// what passes.
func setDatagrams(c *net.UDPConn, v6 bool) {
	rc, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = rc.Control(func(fd uintptr) {
		if v6 {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1)
		} else {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_DONTFRAG, 1)
		}
	})
}
