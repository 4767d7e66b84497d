//pump: prepares sockets.

package transport

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// notSent is how much of what has been written the kernel may hold unsent, bytes:
// cancels and haves do not queue behind a megabyte of blocks. What is in flight is
// not limited by it.
const notSent = 256 << 10

// setSocket prepares a socket before it connects. Options that a kernel lacks are
// done without.
func setSocket(network string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent)
	})
}
