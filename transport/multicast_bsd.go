//go:build unix && !linux

//pump: prepares multicast sockets.

package transport

import "golang.org/x/sys/unix"

// reusePort: a port of the unspecified address is shared with this option only.
func reusePort(s int) error { return unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }

// onlyJoined4 and onlyJoined6: sockets hear only what they have joined.
func onlyJoined4(int) {}
func onlyJoined6(int) {}
