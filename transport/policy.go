package transport

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// Class is what the dial policy knows of an address.
type Class = ipclass.Class

// Classes of addresses.
const (
	Public    = ipclass.Public
	Private   = ipclass.Private
	Loopback  = ipclass.Loopback
	LinkLocal = ipclass.LinkLocal
	Metadata  = ipclass.Metadata
	Unusable  = ipclass.Unusable
)

// Classify sorts an address. IPv4 inside IPv6 counts as what it leads to.
func Classify(a netip.Addr) Class { return ipclass.Classify(a) }

// IsLocal reports whether an address is of this machine or a network of its owner:
// exempt from per-IP and subnet rules, and allowed to name others there.
func IsLocal(a netip.Addr) bool { return ipclass.IsLocal(a) }

// PolicyError refuses to connect. It is the fault of whoever named the address.
type PolicyError struct {
	Addr   netip.AddrPort
	Origin Origin
	Why    string
}

// Error says what was refused, why, and who wanted it.
func (e *PolicyError) Error() string {
	return fmt.Sprintf("will not connect to %v: %s, named by %v", e.Addr, e.Why, e.Origin)
}

// String names the origin as it stands in error texts.
func (o Origin) String() string {
	return [...]string{"the user", "a torrent", "a public tracker", "a local tracker or peer", "a peer", "a connection that came in"}[o]
}

// allowed is the policy's table: which origin may name which class.
var allowed = [...]map[Class]bool{
	FromUser: {Public: true, Private: true, Loopback: true, LinkLocal: true, Metadata: true},
	// A torrent's author may run a tracker in the LAN; what its URLs may ask of
	// services there is for checkURL.
	FromTorrent: {Public: true, Private: true, Loopback: true},
	FromTracker: {Public: true},
	FromLocal:   {Public: true, Private: true, Loopback: true, LinkLocal: true},
	FromPeer:    {Public: true},
	// A connection has come from there: the address is not merely claimed.
	FromIncoming: {Public: true, Private: true, Loopback: true, LinkLocal: true},
}

// CheckAddr is the dial policy: it returns nil or a *PolicyError. It is asked with
// the resolved address of every connection and datagram that leaves the program,
// again at each redirect. own says which addresses are this machine's own; it may
// be nil.
func CheckAddr(addr netip.AddrPort, o Origin, own func(netip.Addr) bool) error {
	deny := func(format string, args ...any) error {
		return &PolicyError{addr, o, fmt.Sprintf(format, args...)}
	}
	if int(o) >= len(allowed) {
		o = FromPeer
	}
	class := Classify(addr.Addr())
	trusted := o == FromUser || o == FromLocal
	switch {
	case addr.Port() == 0:
		return deny("port 0")
	case !allowed[o][class]:
		return deny("%v address", class)
	case !trusted && badPort(addr.Port()):
		return deny("port %d belongs to another service", addr.Port())
	case (o == FromTracker || o == FromPeer) && own != nil && own(addr.Addr().Unmap()):
		return deny("it is this machine")
	}
	return nil
}

// badPorts belong to services that take a stranger's bytes for commands, or that
// answer anyone at all: a list of peers must not make a swarm connect to them.
// After the WHATWG's list of blocked ports (Fetch, "port blocking").
var badPorts = [...]uint16{
	1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
	101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179,
	389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601,
	636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3306, 3389, 5060, 5061, 5432, 6000, 6379,
	6566, 6665, 6666, 6667, 6668, 6669, 6697, 11211, 27017,
}

func badPort(p uint16) bool {
	_, found := slices.BinarySearch(badPorts[:], p)
	return found
}
