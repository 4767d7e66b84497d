package transport

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Both sides of a connection have the options, the accepted one from its listener.
func TestSocketOptions(t *testing.T) {
	a, b := tcpPair(t)
	for name, c := range map[string]net.Conn{"dialed": a, "accepted": b} {
		rc, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = rc.Control(func(fd uintptr) {
			for _, o := range []struct {
				name         string
				level, which int
				want         int
			}{
				{"TCP_NOTSENT_LOWAT", unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent},
				{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
				{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0},
				{"SO_PROTOCOL", unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_TCP}, // not MPTCP
			} {
				if got, err := unix.GetsockoptInt(int(fd), o.level, o.which); err != nil || got != o.want {
					t.Errorf("%s: %s is %d, %v; want %d", name, o.name, got, err, o.want)
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}
