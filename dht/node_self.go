package dht

import (
	"net/netip"

	"github.com/shoal-bt/shoal/internal/clock"
)

// self is what we know of ourselves as others see us (BEP 42).
type self struct {
	voter Voter
	sure  netip.Addr // from somebody who must know
	port  uint16     // last seen by others
	moved clock.Time // when the id last followed the address
	ever  bool       // it has
}

// external is our public address, invalid while it is not known.
func (n *Node) external() netip.Addr {
	if n.self.sure.IsValid() {
		return n.self.sure
	}
	if ip := n.self.voter.External(); ip.IsValid() {
		return ip
	}
	return n.cfg.Guess
}

// chooseID takes the configured id, that of the last run if it still fits, or a new
// one.
func (n *Node) chooseID(c *Ctx) {
	n.self.sure = n.cfg.ExternalIP
	n.id = n.cfg.ID
	if n.id.IsZero() && len(n.cfg.Saved) > 0 {
		if id, _, err := ParseSaved(n.cfg.Saved); err == nil {
			n.id = id
		}
	}
	ip := n.external()
	switch {
	case !n.cfg.ID.IsZero():
	case ip.IsValid() && (n.id.IsZero() || !Secure(n.id, ip)):
		n.id = SecureID(ip, c.Rand())
	case n.id.IsZero():
		n.id = RandomID(c.Rand())
	}
}

// vote counts what a node says it sees.
func (n *Node) vote(c *Ctx, from netip.Addr, saw netip.AddrPort) {
	if !n.cfg.Family.Holds(saw.Addr()) {
		return
	}
	if saw.Port() != 0 && (saw.Addr() == n.external() || n.self.port == 0) {
		n.self.port = saw.Port()
	}
	n.self.voter.Vote(from, saw.Addr(), c.Now())
	n.follow(c)
}

func (n *Node) onExternal(c *Ctx, m External) {
	addr := m.Addr.Unmap()
	switch {
	case !n.cfg.Family.Holds(addr):
		return
	case m.Sure:
		n.self.sure = addr
	default:
		n.self.voter.Vote(m.From, addr, c.Now())
	}
	n.follow(c)
}

// follow gives us an id that BEP 42 allows at our address: it "SHOULD consider
// restarting its DHT node with a new node ID, taking this IP into account". An id that
// the user has chosen stays.
func (n *Node) follow(c *Ctx) {
	ip := n.external()
	if !ip.IsValid() || !n.cfg.ID.IsZero() || Secure(n.id, ip) {
		return
	}
	if n.self.ever && c.Now().Sub(n.self.moved) < moveInterval {
		return // asked again with the next vote
	}
	n.self.ever, n.self.moved = true, c.Now()
	n.id = SecureID(ip, c.Rand())
	n.table.SetOwn(n.id, c.Now())
	n.peers.SetOwn(n.id)
	n.items.SetOwn(n.id)
	n.rejoin(c)
}
