// Package ipclass says what kind of address an IP address is: whether the world can
// reach it, or whose it is if not. Every rule that asks "is it local?" asks here, so
// that what one part of the program takes for a stranger's address no other takes for
// a neighbour's.
package ipclass

import (
	"net/netip"
	"slices"
)

// Class is a kind of address.
type Class uint8

// Classes of addresses.
const (
	Public    Class = iota
	Private         // RFC 1918, RFC 4193 unique local, RFC 6598 shared
	Loopback        // this machine
	LinkLocal       // RFC 3927, fe80::/10
	Metadata        // where clouds tell a machine its secrets
	Unusable        // multicast, broadcast, unspecified, reserved: no peer has it
)

// String names the class as it stands in error texts.
func (c Class) String() string {
	return [...]string{"public", "private", "loopback", "link-local", "cloud metadata", "unusable"}[c]
}

var (
	// The instance metadata services of the large clouds; requests to them from
	// inside are what a dial policy above all prevents.
	metadata = addrs("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "168.63.129.16")

	shared   = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598, behind carriers' NAT
	unusable = prefixes("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "100::/64", "2001:db8::/32", "fec0::/10")

	// Prefixes whose addresses lead to an IPv4 address that they contain, and
	// where in the 16 bytes it stands.
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixTo4 = netip.MustParsePrefix("2002::/16")    // RFC 3056
	compat = netip.MustParsePrefix("::/96")        // RFC 4291, deprecated
)

// Classify sorts an address. IPv4 inside IPv6 counts as what it leads to.
func Classify(a netip.Addr) Class {
	a = embedded(a.Unmap().WithZone(""))
	switch {
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || within(unusable, a):
		return Unusable
	case slices.Contains(metadata, a):
		return Metadata
	}
	return near(a)
}

// IsLocal reports whether an address is of this machine or a network of its owner,
// Private, Loopback or LinkLocal: exempt from rules per IP and subnet, for behind one
// such address there may be any number of honest peers, and nobody far away; and
// allowed to name others there. It is asked of each node that the DHT hears of.
func IsLocal(a netip.Addr) bool {
	a = embedded(a.Unmap().WithZone(""))
	return near(a) != Public && !slices.Contains(metadata, a)
}

// near sorts by distance.
func near(a netip.Addr) Class {
	switch {
	case a.IsLoopback():
		return Loopback
	case a.IsLinkLocalUnicast():
		return LinkLocal
	case a.IsPrivate() || shared.Contains(a):
		return Private
	}
	return Public
}

// embedded returns the IPv4 address that a leads to, or a.
func embedded(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case nat64.Contains(a), compat.Contains(a) && !a.IsLoopback() && !a.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixTo4.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

func addrs(texts ...string) []netip.Addr {
	out := make([]netip.Addr, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParseAddr(t)
	}
	return out
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}
