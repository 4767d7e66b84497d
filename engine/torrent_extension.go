package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// onExtended takes a peer's extension handshake (BEP 10), or another one of it.
func (t *torrent) onExtended(_ *actor.Ctx[torrentMsg], p *peerEntry, e *extended) {
	if e.pex && !p.extended.pex {
		t.exchange.due = true // it is to be told of all that are there
	}
	p.extended = *e
	t.offersMetadata(p)
	if e.yourIP.IsValid() {
		x := voted{ip: e.yourIP, by: p.addr.Addr()}
		t.cfg.session.Offer(x)
		t.swarm.votes.add(x)
		t.knowOwnByVotes(e.yourIP.Is4())
	}
}

// alternatives are the other addresses at which a peer says it can be reached, with the
// port at which it listens. They are tried when this connection has ended: now they
// could only lead to the same peer. What a stranger says of itself is as little worth as
// what it says of others, so the dial policy for these decides.
func (t *torrent) alternatives(p *peerEntry) (out []netip.AddrPort) {
	if p.state.listen == 0 || t.private() {
		return nil
	}
	for _, ip := range []netip.Addr{p.extended.ipv4, p.extended.ipv6} {
		a := netip.AddrPortFrom(ip, p.state.listen)
		if ip.IsValid() && ip != p.addr.Addr().Unmap() && transport.CheckAddr(a, SourcePEX.origin(), nil) == nil {
			out = append(out, a)
		}
	}
	return out
}

// info is the info dictionary as peers may have it from us (BEP 9): nil if we have none,
// or one that is longer than others take.
func (t *torrent) info() []byte {
	if t.cfg.meta == nil || len(t.cfg.meta.Info()) > maxMetadata {
		return nil
	}
	return t.cfg.meta.Info()
}

// uploadOnly says whether we want nothing, of nobody (BEP 21).
func (t *torrent) uploadOnly() bool { return t.cfg.seedOnly || t.needsNobody() }
