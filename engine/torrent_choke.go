package engine

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/choker"
)

// choking is a torrent's choker and its rounds. Owner: the torrent.
type choking struct {
	strategy choker.Strategy
	slots    int32
	upCap    int64      // bytes a second that we may send; 0: no limit
	due      bool       // to be run in this Flush
	round    actor.Time // when the strategy wants to be asked again; 0: not by itself
	view     choker.View
	grants   []choker.Grant
	demand   demand // as last told the governor
	unchoked int32
}

func (k *choking) forget(p *peerEntry) { k.strategy.Forget(uint32(p.id)) }

// onSlots takes the number of upload slots that the governor apportions to us.
func (t *torrent) onSlots(m slots) {
	if m.n != t.choke.slots {
		t.choke.slots = m.n
		t.choke.due = true
	}
}

// runChoker decides who is unchoked, when something has changed or the strategy
// asked to be called again.
func (t *torrent) runChoker(c *actor.Ctx[torrentMsg]) {
	if !t.choke.due {
		return
	}
	t.choke.due = false
	t.tellDemand(c)
	t.fillView(c)
	now := c.Now()
	due := t.choke.round > 0 && now >= t.choke.round
	grants, again := t.choke.strategy.Decide(&t.choke.view, t.choke.grants[:0])
	t.choke.grants = grants
	t.applyGrants(c, grants)
	if due {
		t.endRound()
	}
	t.choke.round = 0
	if again > 0 && t.swarm.live > 0 {
		t.choke.round = now.Add(again)
		t.after(c, again, tickChoke)
	}
}

// endRound begins to count anew what each peer gives and takes. Only a Decide whose
// time had come ends a round: what a peer has given must not be forgotten because
// another one has become interested.
func (t *torrent) endRound() {
	for _, p := range t.swarm.list {
		p.lastDown, p.lastUp = p.state.down, p.state.up
	}
}

func (t *torrent) fillView(c *actor.Ctx[torrentMsg]) {
	v := &t.choke.view
	now := c.Now()
	*v = choker.View{Now: now, Seeding: t.life.state == Seeding, Slots: t.choke.slots,
		Pieces: t.pieces.l.Pieces(), PieceLen: t.pieces.l.PieceLen(), UpCap: t.choke.upCap, UpRate: t.count.meter.up.rate(now),
		Peers: v.Peers[:0], Rand: c.Rand()}
	for _, p := range t.swarm.list {
		if !p.live || p.gone {
			continue
		}
		v.Peers = append(v.Peers, choker.Peer{
			ID: uint32(p.id), Interested: p.state.interested, Interesting: p.wants > 0,
			Unchoked: p.stance.unchoke, UnchokesUs: !p.state.chokesUs, Snubbed: p.state.snubbed, Seed: p.seed || p.state.uploadOnly,
			Since: p.since, Changed: p.changed,
			RoundDown: p.state.down - p.lastDown, RoundUp: p.state.up - p.lastUp,
			DownRate: p.meter.down.rate(now), UpRate: p.meter.up.rate(now),
			DownTotal: p.state.down, UpTotal: p.state.up, Pieces: p.piecesHad(),
		})
	}
}

func (p *peerEntry) piecesHad() int32 {
	if p.has == nil {
		return 0
	}
	return p.has.Count()
}

// applyGrants unchokes who was granted a slot and chokes the others.
func (t *torrent) applyGrants(c *actor.Ctx[torrentMsg], grants []choker.Grant) {
	for _, p := range t.swarm.list {
		p.grant = choker.Grant{}
	}
	for _, g := range grants {
		if p := t.swarm.byID[peerID(g.ID)]; p != nil {
			p.grant, p.grantedAt = g, p.state.up
		}
	}
	t.choke.unchoked = 0
	for _, p := range t.swarm.list {
		if !p.live || p.gone {
			continue
		}
		on := p.grant.ID == uint32(p.id)
		t.choke.unchoked += one(on)
		if on != p.stance.unchoke {
			p.changed = c.Now()
			s := p.stance
			s.unchoke = on
			t.setStance(p, s)
		}
	}
}

// tellDemand lets the governor apportion upload slots.
func (t *torrent) tellDemand(c *actor.Ctx[torrentMsg]) {
	d := demand{c.ID(), t.count.meter.up.rate(c.Now())}
	if d != t.choke.demand {
		t.choke.demand = d
		t.cfg.governor.Tell(d)
	}
}

// setStance changes how we stand towards a peer and tells it.
func (t *torrent) setStance(p *peerEntry, s stance) {
	if s != p.stance {
		p.stance = s
		p.child.Ref.Notify(s)
	}
}

// tellStances tells peers whether they are interesting, after haves, verified
// pieces and selections have changed, and to ask for nothing while the disk is in
// trouble. That we want nothing more they hear when they know all that we have.
func (t *torrent) tellStances() {
	wanting := t.mayConnect() && !t.cfg.seedOnly
	uploadOnly, allTold := t.uploadOnly(), t.pieces.logTold == len(t.pieces.log)
	for _, p := range t.swarm.list {
		if !p.live || p.gone {
			continue
		}
		s := p.stance
		s.interested, s.noRequests = wanting && p.wants > 0, t.disk.trouble != nil
		s.uploadOnly = uploadOnly && (allTold || s.uploadOnly)
		t.setStance(p, s)
	}
}

// tellHaves tells all peers of new pieces, at once if none were told for a while.
func (t *torrent) tellHaves(c *actor.Ctx[torrentMsg]) {
	if len(t.pieces.log) == t.pieces.logTold || t.armed(tickHaves) {
		return
	}
	now := c.Now()
	if wait := t.pieces.toldAt.Add(havesEvery).Sub(now); t.pieces.logTold > 0 && wait > 0 {
		t.after(c, wait, tickHaves)
		return
	}
	t.pieces.logTold, t.pieces.toldAt = len(t.pieces.log), now
	for _, p := range t.swarm.list {
		if p.live && !p.gone {
			p.child.Ref.Notify(haves{t.pieces.log})
		}
	}
	if t.uploadOnly() {
		t.tellStances()
	}
}
