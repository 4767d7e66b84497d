package engine

import (
	"errors"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/pex"
	"github.com/shoal-bt/shoal/transport"
)

const (
	// pexGather is how long news wait for more of them, and pexEvery is between two
	// sweeps over the connections: each is told at most once a minute, and not all at
	// the same time.
	pexGather = time.Second
	pexEvery  = 3 * time.Second
	// maxParted of each family are remembered (BEP 11: "a list of up to 25").
	maxParted = pex.FewPeers
)

// exchange is what peers may be told of each other (BEP 11). Owner: the torrent.
type exchange struct {
	version uint32 // counts the changes of who may be told of
	due     bool   // somebody may have something to be told
	swept   actor.Time
	armedAt actor.Time // when tickPEX comes, if it is armed
	parted  []pex.Recent
	lastSeq uint32
}

// newsTold is what one peer has been told of others.
type newsTold struct {
	state   pex.State
	version uint32 // of exchange, up to which it knows
}

// changed notes that a peer may be told of, or no longer.
func (x *exchange) changed(p *peerEntry) {
	if p.dial.IsValid() {
		x.version++
		x.due = true
	}
}

// mayTellOf: BEP 11, "a peer must only be included in an added field once a connection is
// successfully established". Where it listens we know from having connected there, or it
// has said so itself, about its own address.
func (p *peerEntry) mayTellOf() bool { return p.live && !p.gone && p.dial.IsValid() }

// mayBeTold reports whether a peer wants to hear of others.
func (p *peerEntry) mayBeTold() bool { return p.live && !p.gone && p.extended.pex }

// pexFlags is what others are told of a peer besides its address.
func (p *peerEntry) pexFlags() (f pex.Flags) {
	for _, x := range [...]struct {
		is   bool
		flag pex.Flags
	}{
		{p.extended.encrypts, pex.Encryption},
		{p.seed || p.state.uploadOnly, pex.Seed},
		{p.trans == "utp", pex.UTP},
		{p.extended.holepunch, pex.Holepunch},
		{!p.incoming, pex.Reachable},
	} {
		if x.is {
			f |= x.flag
		}
	}
	return f
}

func (p *peerEntry) pexPeer() pex.Peer { return pex.Peer{Addr: p.dial, Flags: p.pexFlags()} }

// armPEX arms the sweep when there is news.
func (t *torrent) armPEX(c *actor.Ctx[torrentMsg]) {
	if !t.exchange.due {
		return
	}
	t.exchange.due = false
	if t.mayPEX() {
		t.sweepPEXAt(c, max(c.Now().Add(pexGather), t.exchange.swept.Add(pexEvery)))
	}
}

func (t *torrent) sweepPEXAt(c *actor.Ctx[torrentMsg], at actor.Time) {
	if !t.armed(tickPEX) || at < t.exchange.armedAt {
		t.exchange.armedAt = at
		t.after(c, at.Sub(c.Now()), tickPEX)
	}
}

// sweepPEX tells everybody whose minute is over, and comes again for those who are behind.
func (t *torrent) sweepPEX(c *actor.Ctx[torrentMsg]) {
	if !t.mayPEX() {
		return
	}
	x, now := &t.exchange, c.Now()
	x.swept = now
	again := actor.Never
	known := t.pexKnown(c)
	for _, p := range t.swarm.list {
		if !p.mayBeTold() || p.news.version == x.version && !p.news.state.Behind {
			continue
		}
		to := pex.Remote{Addr: p.dial, Scope: originScope(p.addr.Addr()), Seed: p.seed || p.state.uploadOnly}
		m, ok := p.news.state.Diff(to, &known, now)
		if ok {
			p.child.Ref.Tell(tellPEX{m.Append(nil)})
		}
		if p.news.state.Behind {
			again = min(again, p.news.state.Next())
		} else {
			p.news.version = x.version
		}
	}
	if again != actor.Never {
		t.sweepPEXAt(c, max(again, now.Add(pexEvery)))
	}
}

func (t *torrent) pexKnown(c *actor.Ctx[torrentMsg]) pex.Known {
	known := pex.Known{Recent: t.exchange.parted, Scope: scopeOf, Rand: c.Rand().Int32N}
	for _, p := range t.swarm.list {
		if p.mayTellOf() {
			known.Peers = append(known.Peers, p.pexPeer())
		}
	}
	return known
}

// rememberParted keeps those that we part from and that are of use to others. BEP 11
// names the reasons: "the same peer ID was already connected under a different address
// family", "permanent lack of mutual interest", "local resource limits".
func (t *torrent) rememberParted(p *peerEntry, why error) {
	shaken := p.live || errors.Is(why, errTwice) && p.remote != [20]byte{} && t.underOtherFamily(p)
	ours := errors.Is(why, errBothSeeds) || errors.Is(why, errFull) || errors.Is(why, errTwice)
	if !shaken || !ours || p.gone || !p.dial.IsValid() {
		return
	}
	x := &t.exchange
	x.lastSeq++
	x.parted = append(x.parted, pex.Recent{Peer: p.pexPeer(), Seq: x.lastSeq})
	x.trim(p.dial.Addr().Is4())
	x.version++
	x.due = true
}

// underOtherFamily reports whether a peer is connected by IPv4 as well as IPv6.
func (t *torrent) underOtherFamily(p *peerEntry) bool {
	for _, q := range t.swarm.list {
		if q != p && q.live && !q.gone && q.remote == p.remote {
			return q.addr.Addr().Is4() != p.dial.Addr().Is4()
		}
	}
	return false
}

// trim forgets the oldest of a family when there are too many.
func (x *exchange) trim(v4 bool) {
	n, oldest := 0, 0
	for i := len(x.parted) - 1; i >= 0; i-- {
		if x.parted[i].Addr.Addr().Is4() == v4 {
			n, oldest = n+1, i
		}
	}
	if n > maxParted {
		x.parted = append(x.parted[:oldest], x.parted[oldest+1:]...)
	}
}

// onPEX takes the addresses that a peer has named. They are a rumour: only the addresses
// that are new are remembered with what is said of them.
func (t *torrent) onPEX(c *actor.Ctx[torrentMsg], news []pex.Peer) {
	if !t.mayPEX() {
		return
	}
	for _, n := range news {
		source := SourcePEX
		if transport.IsLocal(n.Addr.Addr()) {
			source = SourceLocalPEX // the guard lets only peers at such addresses name them
		}
		known := t.swarm.book.byAddr[n.Addr] != nil
		t.onFound(c, found{[]netip.AddrPort{n.Addr}, source})
		if !known && n.Flags&pex.Seed != 0 {
			t.swarm.book.isSeed(n.Addr) // a seed does not try it
		}
	}
}

// scopeOf says from where an address can be reached.
func scopeOf(a netip.Addr) pex.Scope {
	switch transport.Classify(a) {
	case transport.Public:
		return pex.Public
	case transport.Private:
		return pex.Private
	case transport.Loopback:
		return pex.Loopback
	}
	return pex.Nowhere // link-local addresses mean something else on each link
}

// originScope is the scope of the remote end of a connection: a link is a network, too.
func originScope(a netip.Addr) pex.Scope {
	if s := scopeOf(a); s != pex.Nowhere {
		return s
	}
	return pex.Private
}
