package engine

import (
	"errors"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/freelist"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
)

var reports = freelist.New(func() *report { return new(report) }, func(r *report) {
	clear(r.blocks)
	clear(r.metadata)
	*r = report{metadata: r.metadata[:0], haves: r.haves[:0], suggested: r.suggested[:0], fast: r.fast[:0], blocks: r.blocks[:0], back: r.back[:0]}
})

// onReport takes in what one drain of a peer's socket has changed.
func (t *torrent) onReport(c *actor.Ctx[torrentMsg], r *report) {
	p := t.swarm.byID[r.peer]
	if p == nil || p.gone {
		if p != nil {
			// Nothing else counts of one that we have sent away. What it still brings has
			// been fetched in vain.
			t.countBytes(c.Now(), p, r.state)
			t.count.wasted += r.wasted
			for _, e := range r.blocks {
				t.count.wasted += int64(e.Data.Len())
			}
		}
		r.Drop()
		reports.Put(r)
		return
	}
	t.count.wasted += r.wasted
	t.updateState(c.Now(), p, r.state)
	if r.shook != nil {
		t.onShook(c, p, r.shook)
	}
	if r.extended != nil {
		t.onExtended(c, p, r.extended)
	}
	t.onMetadata(c.Now(), p, r.metadata)
	if r.has != nil {
		t.onBitfield(p, r.has)
	}
	for _, i := range r.haves {
		if i < 0 {
			t.onDontHave(p, int32(^i))
		} else {
			t.onHave(p, int32(i))
		}
	}
	for _, i := range r.suggested {
		p.suggest(int32(i))
	}
	for _, i := range r.fast {
		p.allowFast(int32(i))
	}
	t.onPEX(c, r.pex)
	if r.dhtPort != 0 {
		t.onPort(p, r.dhtPort)
	}
	t.takeBack(p, r.back)
	t.takeBlocks(p, r.blocks)
	reports.Put(r)
	if !p.gone {
		t.feed(p)
	}
}

// updateState replaces what we know of a peer's own state.
func (t *torrent) updateState(now actor.Time, p *peerEntry, s peerState) {
	old := p.state
	t.countBytes(now, p, s)
	p.state = s
	if s.assigned != p.assigned {
		p.state.need, p.state.needFast = 0, 0 // it crossed an assignment on its way: stale
	}
	if s.listen != 0 && p.incoming && !p.dial.IsValid() {
		// Where it can be dialed again; it must not be dialed now.
		p.dial = netip.AddrPortFrom(p.addr.Addr().Unmap(), s.listen)
		t.swarm.book.add(p.dial, SourceIncoming)
		t.swarm.book.connected(p.dial)
		t.exchange.changed(p)
	}
	if s.interested != old.interested {
		t.choke.due = true
	}
	if p.grant.Budget > 0 && s.up-p.grantedAt >= p.grant.Budget {
		t.choke.due = true
	}
	if s.snubbed && !old.snubbed {
		t.disownAll(p)
		// Also the one request that is still out with it: in endgame two that never
		// serve would hold a block between them. If it comes after all, it counts.
		t.endLeases(p)
	}
	if s.uploadOnly && !old.uploadOnly {
		t.parted(p)
	}
}

// countBytes counts what a peer has moved since its last report.
func (t *torrent) countBytes(now actor.Time, p *peerEntry, s peerState) {
	if n := s.down - p.state.down; n > 0 {
		t.count.down += n
		t.count.meter.down.add(now, n)
		p.meter.down.add(now, n)
	}
	if n := s.up - p.state.up; n > 0 {
		t.count.up += n
		t.count.meter.up.add(now, n)
		p.meter.up.add(now, n)
	}
	p.state.down, p.state.up = s.down, s.up
}

// disownAll lets others go on with what a peer has begun alone.
func (t *torrent) disownAll(p *peerEntry) {
	for len(p.mine) > 0 {
		t.disown(p.mine[0])
	}
	t.feedAll()
}

func one(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// onBitfield takes what a peer has as a whole.
func (t *torrent) onBitfield(p *peerEntry, has *bits.Set) {
	if p.has != nil {
		if t.grown(p, has) {
			return
		}
		if p.fields++; p.fields > maxFields {
			t.drop(p, errFields)
			return
		}
		t.uncountPeer(p)
	}
	p.has = has
	if has.Full() {
		p.seed = true
		t.pieces.seeds++
		t.swarm.seeds++
	} else {
		t.countAvail(has, 1)
		t.pick.rebuild = true
	}
	p.wants = has.CountAndNot(&t.pieces.have)
	if t.pieces.missing != t.pieces.l.Pieces()-t.pieces.have.Count() {
		p.wants = t.countWants(has)
	}
	t.parted(p)
}

// maxFields whole bitfields that tell of nothing new are taken from a peer after its
// first: each costs a walk over all pieces.
const maxFields = 3

var errFields = errors.New("it sends bitfields that tell of nothing new")

// grown takes a later bitfield that only adds pieces as the haves that it stands for,
// and reports whether it was one. There can't be more of them than pieces.
func (t *torrent) grown(p *peerEntry, has *bits.Set) bool {
	if has.Count() <= p.has.Count() || p.has.HasAnyNotIn(has) {
		return false
	}
	fresh := has.Clone()
	fresh.AndNot(p.has)
	for i := range fresh.All() {
		if !p.gone { // the last one may make it a seed, and of no use to us
			t.onHave(p, i)
		}
	}
	return true
}

// countWants counts the pieces that a peer has and we want.
func (t *torrent) countWants(has *bits.Set) (n int32) {
	for i := has.NextAndNot(0, &t.pieces.have); i >= 0; i = has.NextAndNot(i+1, &t.pieces.have) {
		n += one(t.pieces.prio[i] > 0)
	}
	return n
}

// countAvail adds a peer's pieces to the availability, or takes them away.
func (t *torrent) countAvail(has *bits.Set, by int32) {
	if t.pieces.avail == nil {
		t.pieces.avail = make([]int32, t.pieces.l.Pieces())
	}
	for i := range has.All() {
		t.pieces.avail[i] += by
	}
}

// uncountPeer takes a peer out of the availability.
func (t *torrent) uncountPeer(p *peerEntry) {
	switch {
	case p.has == nil:
		return
	case p.seed:
		p.seed = false
		t.pieces.seeds--
		t.swarm.seeds--
	default:
		t.countAvail(p.has, -1)
		t.pick.rebuild = true
	}
}

// onHave takes one more piece that a peer has.
func (t *torrent) onHave(p *peerEntry, i int32) {
	if p.has == nil {
		none := bits.New(t.pieces.l.Pieces())
		p.has = &none
	}
	if !p.has.Set(i) {
		return // said twice: harmless
	}
	if t.pieces.avail == nil {
		t.pieces.avail = make([]int32, t.pieces.l.Pieces())
	}
	t.pieces.avail[i]++
	t.changed(pieceIndex(i), picker.AvailChanged)
	if t.pieces.wants(pieceIndex(i)) {
		p.wants++
	}
	if p.has.Full() {
		t.becameSeed(p)
	}
}

// onDontHave takes back one piece of a peer's (BEP 54).
func (t *torrent) onDontHave(p *peerEntry, i int32) {
	if p.has == nil || !p.has.Has(i) {
		return
	}
	if p.seed { // it is counted piece by piece from now on
		p.seed = false
		t.pieces.seeds--
		t.swarm.seeds--
		t.countAvail(p.has, 1)
		t.pick.rebuild = true
	}
	p.has.Clear(i)
	t.pieces.avail[i]--
	t.changed(pieceIndex(i), picker.AvailChanged)
	if t.pieces.wants(pieceIndex(i)) {
		p.wants--
	}
}

// parted ends a connection that serves nobody, and remembers the seed as one not to
// be dialed while we are complete.
func (t *torrent) parted(p *peerEntry) {
	if t.needsNobody() && p.live && !p.gone && (p.seed || p.state.uploadOnly) {
		t.swarm.book.isSeed(p.dial)
		t.drop(p, errBothSeeds)
	}
}

// becameSeed counts a peer as a seed from now on, so that its pieces cost nothing.
func (t *torrent) becameSeed(p *peerEntry) {
	t.countAvail(p.has, -1)
	p.seed = true
	t.pieces.seeds++
	t.swarm.seeds++
	t.pick.rebuild = true
	t.parted(p)
}

// takeBack frees blocks that a peer will not deliver.
func (t *torrent) takeBack(p *peerEntry, back []blockRef) {
	for _, ref := range back {
		t.giveBack(p, ref)
	}
	if len(back) > 0 {
		t.feedAll()
	}
}

// giveBack ends a peer's lease, whichever of a block's two it is.
func (t *torrent) giveBack(p *peerEntry, ref blockRef) {
	a := t.pieces.partial(ref.piece)
	if a == nil {
		return
	}
	if a.doubled(ref.block) == p.id {
		t.pieces.single(a, ref.block)
		p.dups--
		return
	}
	wasFree := a.free
	to, ok := t.pieces.giveBack(a, ref.block, p.id)
	if !ok {
		return
	}
	p.asked--
	if q := t.swarm.byID[to]; to != 0 && q != nil {
		q.dups--
		q.asked++
	}
	t.freeChanged(a, wasFree)
}

// takeBlocks marks delivered blocks and hands their slots to storage. What nobody
// wants any more is taken as well: it has been paid for.
func (t *torrent) takeBlocks(p *peerEntry, blocks []storage.Entry) {
	for _, e := range blocks {
		a := t.pieces.partial(e.Piece)
		if a == nil || !t.disk.takes() {
			t.waste(e)
			continue
		}
		t.endBlockLeases(p, a, e.Block)
		wasFree := a.free
		if !t.pieces.arrive(a, e.Block, p.id) {
			t.waste(e)
			continue
		}
		t.disk.add(t.cfg.store, e)
		t.freeChanged(a, wasFree)
		if a.hashing() {
			t.disk.order.arrived(a.piece)
		}
	}
}

func (t *torrent) waste(e storage.Entry) {
	t.count.wasted += int64(e.Data.Len())
	e.Data.Release()
}

// endBlockLeases ends the leases of a block that p has delivered; whoever else was
// asked for it is told.
func (t *torrent) endBlockLeases(p *peerEntry, a *partial, b metainfo.BlockIndex) {
	first, second := a.holder(b), t.pieces.single(a, b)
	if q := t.swarm.byID[first]; first != 0 && q != nil {
		q.asked--
		t.cancel(p, q, blockRef{a.piece, b})
	}
	if q := t.swarm.byID[second]; second != 0 && q != nil {
		q.dups--
		t.cancel(p, q, blockRef{a.piece, b})
	}
}

// cancel withdraws a block from whom it was asked, unless that has sent it. All
// cancels of a turn go out together.
func (t *torrent) cancel(from, q *peerEntry, ref blockRef) {
	if q == from || q.gone {
		return
	}
	if q.cancels == nil {
		q.cancels = assignments.Get()
		t.pick.cancels = append(t.pick.cancels, q)
	}
	q.cancels.cancels = append(q.cancels.cancels, ref)
}

// sendCancels sends the cancels of this turn.
func (t *torrent) sendCancels() {
	for _, q := range t.pick.cancels {
		if q.gone {
			assignments.Put(q.cancels)
		} else {
			q.child.Ref.Tell(q.cancels)
		}
		q.cancels = nil
	}
	clear(t.pick.cancels)
	t.pick.cancels = t.pick.cancels[:0]
}

// endLeases frees every block that was asked of a peer.
func (t *torrent) endLeases(p *peerEntry) {
	if p.asked == 0 && p.dups == 0 {
		return
	}
	for _, a := range t.pieces.open {
		if a.asked == 0 {
			continue
		}
		for b := range a.state {
			t.giveBack(p, blockRef{a.piece, blockIndex(int32(b))})
		}
	}
	t.feedAll()
}

// withdraw cancels what was asked of a piece that nobody wants any more.
func (t *torrent) withdraw(a *partial) {
	t.disown(a)
	for b := range a.state {
		i := blockIndex(int32(b))
		first, second := t.swarm.byID[a.holder(i)], t.swarm.byID[a.doubled(i)]
		for _, q := range []*peerEntry{second, first} {
			if q != nil {
				t.giveBack(q, blockRef{a.piece, i})
				t.cancel(nil, q, blockRef{a.piece, i})
			}
		}
	}
}
