//go:build !linux

//pump: prepares sockets.

package transport

import "net"

// setBuffers asks for large buffers. Some systems refuse what is beyond their limit
// instead of giving what they can.
func setBuffers(c *net.UDPConn) {
	for n := socketBuffer; n >= 64<<10 && c.SetReadBuffer(n) != nil; n /= 2 {
	}
	for n := socketBuffer; n >= 64<<10 && c.SetWriteBuffer(n) != nil; n /= 2 {
	}
}
