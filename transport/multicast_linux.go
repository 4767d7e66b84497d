//pump: prepares multicast sockets.

package transport

import "golang.org/x/sys/unix"

// reusePort: here SO_REUSEADDR is enough, and other clients set nothing else.
func reusePort(int) error { return nil }

// onlyJoined4 and onlyJoined6 let a socket hear a group on the interfaces that it has
// joined it on; otherwise Linux delivers what any program of the machine has joined.
// Kernels that lack the option are done without it.
func onlyJoined4(s int) { _ = unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0) }
func onlyJoined6(s int) { _ = unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0) }
