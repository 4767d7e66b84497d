//go:build !linux

//pump: reads datagrams from a socket.

package transport

import "net/netip"

// pump reads until Close, one datagram at a time.
func (u *udp) pump() {
	buf := make([]byte, MaxOther+1) // larger ones are cut, but told
	var r rest
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buf)
		switch {
		case err == nil:
			r = rest{}
			u.deliver(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:n])
		case tooLong(err):
			u.oversize.Add(1)
		case r.ends(u, err):
			return
		}
	}
}
