package dht

import (
	"encoding/binary"
	"net/netip"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// usable reports whether an address can be a node's or a peer's at all. Policy (what
// may be dialled) is the caller's.
func usable(a netip.AddrPort) bool {
	ip := a.Addr()
	return a.Port() != 0 && ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() &&
		ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// unmapped is a as a plain address without a zone.
func unmapped(a netip.AddrPort) netip.AddrPort {
	if ip := a.Addr(); ip.Is4In6() || ip.Zone() != "" {
		return netip.AddrPortFrom(ip.Unmap().WithZone(""), a.Port())
	}
	return a
}

// Subnet is what one owner is taken to hold: the /24 of an IPv4 address or the /64 of
// an IPv6 address. A local address is its own subnet.
func Subnet(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	switch {
	case ipclass.IsLocal(a):
		bits = a.BitLen()
	case a.Is4():
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

// place is an address and port in 18 bytes without pointers: what the stores keep.
// An IPv4 address has the ::ffff:0:0/96 prefix.
type place struct {
	ip   [16]byte
	port uint16
}

func placeOf(a netip.AddrPort) place { return place{a.Addr().As16(), a.Port()} }

func (p *place) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(p.ip).Unmap(), p.port)
}

// halves are the address as two numbers. The first half of an IPv4 address is 0.
func (p *place) halves() (hi, lo uint64) {
	return binary.BigEndian.Uint64(p.ip[:]), binary.BigEndian.Uint64(p.ip[8:])
}
