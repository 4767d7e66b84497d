package dht

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
)

// Family of a node's addresses. BEP 45: a host with both runs a node for each, with
// an id of its own.
type Family uint8

// Families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Holds reports whether a is of this family.
func (f Family) Holds(a netip.Addr) bool { return (f == IPv4) == a.Is4() }

// Socket sends datagrams. Send never waits: it copies b or drops it.
type Socket interface {
	Send(to netip.AddrPort, b []byte) error
}

// Resolver finds the addresses of hosts. Resolve never waits: it answers exactly
// once, in its own time, but may take long or be silent for minutes; the node goes
// on without it.
type Resolver interface {
	Resolve(host string, cookie uint64, reply actor.Ref[Resolved])
}

// Resolved answers a Resolve: of any family, at most a few are used.
type Resolved struct {
	Cookie uint64
	Addrs  []netip.Addr
	Err    error
}

// Config configures a Node. Only Socket and Family are needed.
type Config struct {
	Socket Socket
	Family Family

	// Bootstrap are well-known nodes, "host:port". They are asked while the table is
	// empty, at rising intervals, and by the first lookups.
	Bootstrap []string
	Resolver  Resolver // for Bootstrap and AddHosts; nil: only literal addresses are used

	// Saved is what Save was last given, checked anew. Save gets the table and id
	// every [SaveInterval] and at stop; it never waits and keeps the bytes.
	Saved []byte
	Save  func([]byte)

	// ReadOnly makes a node that answers no queries and announces nothing (BEP 43).
	ReadOnly bool
	// ID is the node's id; zero: drawn, secure against ExternalIP once that is known.
	ID ID
	// ExternalIP is our public address if it is known for certain. Without it the
	// nodes' votes decide (BEP 42).
	ExternalIP netip.Addr
	// Guess is what our public address may be, from what the machine knows itself: our
	// id fits it until votes name another.
	Guess netip.Addr
	// Wide keeps some 230 more contacts, at 12 KiB, which saves lookups about a round.
	Wide bool
	// AnyID accepts nodes whose ids disagree with their addresses as if they were
	// in order. Otherwise, as BEP 42 has it, they are asked for peers but get no
	// place in the table, don't count among the closest and store nothing.
	AnyID bool

	// Allow is the policy for addresses: dial policy and IP filter. nil: all. Port 0
	// and addresses of the wrong family are refused anyway.
	Allow func(netip.AddrPort) bool
	// Other takes contacts of the other family that replies name; zero: they are not
	// asked for (BEP 32).
	Other actor.Ref[Message]

	// Version is BEP 5's "v": two letters of the client, two bytes of its version.
	// "": none is sent.
	Version string
	// Limits bounds what the node spends; zero fields mean the default.
	Limits Limits
}

func (c Config) withDefaults() Config {
	fill := func(v *int, by int) {
		if *v <= 0 {
			*v = by
		}
	}
	fill(&c.Limits.Alpha, Alpha)
	fill(&c.Limits.Lookups, 32)
	fill(&c.Limits.Waiting, 1024)
	fill(&c.Limits.InFlight, 512)
	fill(&c.Limits.UploadRate, 16<<10)
	fill(&c.Limits.Sources, 256)
	c.ExternalIP, c.Guess = c.ExternalIP.Unmap(), c.Guess.Unmap()
	return c
}

// allows is the policy for addresses of nodes.
func (c *Config) allows(a netip.AddrPort) bool {
	return usable(a) && c.Family.Holds(a.Addr()) && (c.Allow == nil || c.Allow(a))
}
