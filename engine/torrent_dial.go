package engine

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// onFound remembers addresses. What a person says now is tried now, also if it has
// failed before.
func (t *torrent) onFound(c *actor.Ctx[torrentMsg], f found) {
	if f.source.foreign() && t.private() {
		return
	}
	for _, a := range f.addrs {
		if t.blame.isBanned(a, [20]byte{}) {
			continue
		}
		fresh := t.swarm.book.add(a, f.source)
		if fresh {
			t.disc.tally.note(f.source, c.Now())
		}
		if fresh || f.source == SourceUser && t.swarm.book.rested(a, c.Now()) {
			t.swarm.nextDial = c.Now()
		}
	}
}

// askDials asks the governor for as many connections as would be of use.
func (t *torrent) askDials(c *actor.Ctx[torrentMsg]) {
	if !t.mayConnect() {
		t.withdrawDials(c)
		return
	}
	now := c.Now()
	if t.swarm.nextDial > now {
		t.armDial(c)
		return
	}
	room := t.swarm.caps.TorrentPeers - int32(len(t.swarm.list))
	n := min(room, dialWindow-t.swarm.dialing, t.swarm.book.ready(now))
	if n <= 0 {
		t.swarm.nextDial = t.swarm.book.soonest(now)
		t.withdrawDials(c)
		t.armDial(c)
		return
	}
	t.swarm.nextDial = actor.Never // until some are granted, or something changes
	if n != t.swarm.asked {
		t.swarm.asked = n
		t.cfg.governor.Tell(wantDials{c.ID(), n})
	}
}

func (t *torrent) withdrawDials(c *actor.Ctx[torrentMsg]) {
	if t.swarm.asked > 0 {
		t.swarm.asked = 0
		t.cfg.governor.Tell(wantDials{c.ID(), 0})
	}
}

func (t *torrent) armDial(c *actor.Ctx[torrentMsg]) {
	if at := t.swarm.nextDial; at != actor.Never && (!t.armed(tickDial) || at < t.swarm.armedDial) {
		t.swarm.armedDial = at
		t.after(c, at.Sub(c.Now()), tickDial)
	}
}

// mayConnect reports whether the torrent wants connections at all: a seed dials
// nobody it does not have to, but answers whoever comes.
func (t *torrent) mayConnect() bool {
	return t.life.state == Downloading || t.life.state == Seeding || t.life.state == FetchingMetadata
}

// onDialsGranted makes as many connections as the governor lets us.
func (t *torrent) onDialsGranted(c *actor.Ctx[torrentMsg], m dialsGranted) {
	t.swarm.asked = 0
	t.swarm.nextDial = c.Now()
	for range m.n {
		if x := t.nextCandidate(c.Now()); x != nil {
			t.dial(c, x)
		} else {
			t.cfg.governor.Tell(dialOver{c.ID(), false})
		}
	}
}

// nextCandidate returns the best address to try, nil if there is none.
func (t *torrent) nextCandidate(now actor.Time) *candidate {
	for t.mayConnect() && len(t.cfg.ways) > 0 {
		x, _ := t.swarm.book.next(now)
		switch {
		case x == nil:
			return nil
		case t.listeningAt(x.addr) != nil: // connected already; stays busy
		case t.takenIP(x.addr.Addr(), (*peerEntry).admitted):
			x.busy, x.next = false, now.Add(reconnectAfter)
		case x.ways.underway(): // the same try, another way
			return x
		case t.swarm.pace.after(x.addr.Addr(), x.mask.best()) > now:
			x.busy, x.next = false, t.swarm.pace.after(x.addr.Addr(), x.mask.best())
		default:
			t.swarm.pace.note(x.addr.Addr(), now)
			return x
		}
	}
	return nil
}

// listeningAt returns who is known to listen at an address.
func (t *torrent) listeningAt(addr netip.AddrPort) *peerEntry {
	for _, p := range t.swarm.list {
		if p.dial == addr && !p.gone && addr.IsValid() {
			return p
		}
	}
	return nil
}

// takenIP applies the rule of one connection an address, which private and loopback
// addresses are exempt from: a household or a laboratory is behind one.
func (t *torrent) takenIP(ip netip.Addr, counts func(*peerEntry) bool) bool {
	if !t.cfg.perIP || transport.IsLocal(ip) {
		return false
	}
	return slices.ContainsFunc(t.swarm.list, func(p *peerEntry) bool {
		return !p.gone && p.addr.Addr() == ip && counts(p)
	})
}

// admitted: one that we are still dialing does not count. When both ends dial each
// other at once, both would refuse, and go on doing so.
func (p *peerEntry) admitted() bool { return p.live || p.incoming }

// dial starts a peer that begins with a connection to make.
func (t *torrent) dial(c *actor.Ctx[torrentMsg], x *candidate) {
	p := t.newEntry(c, x.addr, x.source)
	p.dial, p.dialing, p.way = x.addr, true, t.cfg.ways.next(x.ways)
	t.swarm.dialing++
	tr := t.cfg.deps.Transports[p.way.transport]
	p.trans = tr.Name()
	d := transport.Dial{Addr: x.addr, Origin: x.mask.best().origin(), InfoHash: t.cfg.hash, Timeout: dialTime}
	if p.way.encrypted {
		d.Encrypt = t.cfg.methods
	}
	t.spawnPeer(c, p, nil, begin{transport: tr, dial: d})
}

// dialEnded gives the half-open slot back.
func (t *torrent) dialEnded(c *actor.Ctx[torrentMsg], p *peerEntry, connected bool) {
	p.dialing = false
	t.swarm.dialing--
	t.swarm.nextDial = c.Now()
	t.cfg.governor.Tell(dialOver{c.ID(), connected})
}

// noteAddress remembers what came of trying an address.
func (t *torrent) noteAddress(now actor.Time, p *peerEntry, err error) {
	switch {
	case errors.Is(err, errSelf):
		t.swarm.book.isSelf(p.dial)
	case t.listeningAt(p.dial) != nil: // still connected, by another connection
	case ourReason(err):
		t.swarm.book.over(p.dial, now, false)
		t.swarm.book.rested(p.dial, now)
	case p.dialing && t.swarm.book.another(t.cfg.ways, p.dial, p.way, wayFailureOf(err), now):
	default:
		t.swarm.book.over(p.dial, now, !p.live)
	}
}

// ourReason reports whether a connection has ended for a reason of ours that may be
// over at any time, and says nothing about the address.
func ourReason(err error) bool {
	return errors.Is(err, errPaused) || errors.Is(err, errChecking) || errors.Is(err, errBothSeeds)
}
