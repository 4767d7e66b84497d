package dht

import (
	"errors"
	"net/netip"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// onReceived takes a datagram. What is no answer to us counts against its address, so
// that garbage costs little; nothing is ever sent for it.
func (n *Node) onReceived(c *Ctx, r Received) {
	defer r.Drop()
	from := unmapped(r.From)
	n.stats.BytesIn += int64(len(r.Data))
	if !n.cfg.allows(from) || len(r.Data) > MaxReceived {
		n.stats.Dropped++
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	m := &s.in
	err := m.Parse(r.Data)
	if err == nil && m.Kind != KindQuery {
		if f := n.flights.land(m.TID, from); f != nil {
			n.onAnswer(c, f, m)
			return
		}
	}
	if !n.limiter.Query(from.Addr(), c.Now()) {
		n.stats.Dropped++
		return
	}
	var refusal *Refusal
	switch {
	case err != nil && !errors.As(err, &refusal), m.Kind != KindQuery, m.ID == n.id:
		n.stats.Dropped++
	default:
		n.onQuery(c, from, len(r.Data), s, refusal)
	}
}

// onAnswer takes the reply or error to a query of ours.
func (n *Node) onAnswer(c *Ctx, f *flight, m *Msg) {
	if m.IP.IsValid() || m.IP.Addr().IsValid() {
		n.vote(c, f.to.Addr(), m.IP)
	}
	if m.Kind == KindError {
		n.stats.ErrorsIn++
		n.rtt.add(c.Now().Sub(f.sent))
		f.owner.onGone(n, c, f, &RemoteError{Code: int64(m.Code), Text: printable(m.Text)})
		return
	}
	n.stats.RepliesIn++
	n.arrived(c, f, m.ID)
	if f.named && m.ID != f.id {
		f.owner.onGone(n, c, f, errOtherID)
		return
	}
	n.pass(m)
	f.owner.onReply(n, c, f, m)
}

// errOtherID is the failure of a node that is not who it was said to be.
var errOtherID = errors.New("dht: the node has another id")

// pass tells the other family's node of contacts that it can use.
func (n *Node) pass(m *Msg) {
	if n.cfg.Other.IsZero() {
		return
	}
	others := m.Nodes6
	if n.cfg.Family == IPv6 {
		others = m.Nodes
	}
	if len(others) > 0 {
		n.cfg.Other.Offer(Hint{Contacts: append([]Contact(nil), others...)})
	}
}

// nodesOf returns the contacts of our family in a reply.
func (n *Node) nodesOf(m *Msg) []Contact {
	if n.cfg.Family == IPv6 {
		return m.Nodes6
	}
	return m.Nodes
}

// printable cleans words of others for logs and people.
func printable(text []byte) string {
	b := make([]byte, 0, len(text))
	for _, x := range text[:min(len(text), maxText)] {
		if x < ' ' || x >= 0x7f {
			x = '?'
		}
		b = append(b, x)
	}
	return string(b)
}

// mayName reports whether a node may tell us of a peer: only one at a private address
// knows others there, and nobody knows peers where clouds keep their secrets.
func mayName(node netip.Addr, peer netip.AddrPort) bool {
	switch ipclass.Classify(peer.Addr()) {
	case ipclass.Public:
		return usable(peer)
	case ipclass.Private, ipclass.Loopback, ipclass.LinkLocal:
		return usable(peer) && ipclass.IsLocal(node)
	}
	return false
}
