//pump: prepares sockets.

package transport

import (
	"net"

	"golang.org/x/sys/windows"
)

// dontFragment is IP_DONTFRAGMENT, and IPV6_DONTFRAG as well.
const dontFragment = 14

// setDatagrams asks that datagrams are never cut into fragments: uTP finds out itself
// what passes.
func setDatagrams(c *net.UDPConn, v6 bool) {
	rc, err := c.SyscallConn()
	if err != nil {
		return
	}
	level := windows.IPPROTO_IP
	if v6 {
		level = windows.IPPROTO_IPV6
	}
	_ = rc.Control(func(fd uintptr) {
		_ = windows.SetsockoptInt(windows.Handle(fd), level, dontFragment, 1)
	})
}
