//go:build !linux && !darwin && !freebsd && !windows

//pump: prepares sockets.

package transport

import "net"

// setDatagrams would ask that datagrams are never cut into fragments.
func setDatagrams(*net.UDPConn, bool) {}
