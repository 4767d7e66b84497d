//pump: prepares sockets.

package transport

import (
	"net"

	"golang.org/x/sys/unix"
)

// setDatagrams asks that trains come as one message, and that datagrams are never cut
// into fragments, nor refused for what the system believes of the way: uTP finds out
// itself what passes.
func setDatagrams(c *net.UDPConn, v6 bool) {
	rc, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = rc.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1) // before 5.0 datagrams come one by one
		if v6 {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
		} else {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
		}
	})
}
