// Package compact is the form in which trackers, the DHT and peers write addresses of
// peers. BEP 23: "The first 4 bytes contain the 32-bit ipv4 address. The remaining two
// bytes contain the port number. Both address and port use network-byte order." BEP 7
// and 32 have 16 bytes in place of the 4 for IPv6.
package compact

import (
	"encoding/binary"
	"net/netip"
)

// Bytes of an address with its port.
const (
	Size4 = 4 + 2
	Size6 = 16 + 2
)

// Size is how many bytes an address takes. IPv4 inside IPv6 counts as IPv4.
func Size(a netip.AddrPort) int {
	if a.Addr().Unmap().Is4() {
		return Size4
	}
	return Size6
}

// Append appends an address.
func Append(b []byte, a netip.AddrPort) []byte {
	if ip := a.Addr().Unmap(); ip.Is4() {
		four := ip.As4()
		b = append(b, four[:]...)
	} else {
		six := ip.As16()
		b = append(b, six[:]...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// Parse reads an address; b has Size4 or Size6 bytes, or ok is false. Nothing is said of
// whether somebody can be there.
func Parse(b []byte) (a netip.AddrPort, ok bool) {
	n := len(b) - 2
	if n != 4 && n != 16 {
		return a, false
	}
	ip, _ := netip.AddrFromSlice(b[:n])
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(b[n:])), true
}
