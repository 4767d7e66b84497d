package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/freelist"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
)

var reports = freelist.New(func() *report { return new(report) }, func(r *report) {
	clear(r.blocks)
	*r = report{haves: r.haves[:0], suggested: r.suggested[:0], blocks: r.blocks[:0], back: r.back[:0]}
})

// onReport takes in what one drain of a peer's socket has changed.
func (t *torrent) onReport(c *actor.Ctx[torrentMsg], r *report) {
	p := t.swarm.byID[r.peer]
	if p == nil || p.gone {
		r.Drop()
		reports.Put(r)
		return
	}
	t.count.wasted += r.wasted
	t.updateState(c.Now(), p, r.state)
	if r.shook != nil {
		t.onShook(c, p, r.shook)
	}
	if r.has != nil {
		t.onBitfield(p, r.has)
	}
	for _, i := range r.haves {
		t.onHave(p, int32(i))
	}
	for _, i := range r.suggested {
		p.suggest(int32(i))
	}
	t.takeBack(p, r.back)
	t.takeBlocks(p, r.blocks)
	reports.Put(r)
	t.feed(p)
}

// updateState replaces what we know of a peer's own state.
func (t *torrent) updateState(now actor.Time, p *peerEntry, s peerState) {
	old := p.state
	if n := s.down - old.down; n > 0 {
		t.count.down += n
		t.count.meter.down.add(now, n)
		p.meter.down.add(now, n)
	}
	if n := s.up - old.up; n > 0 {
		t.count.up += n
		t.count.meter.up.add(now, n)
		p.meter.up.add(now, n)
	}
	p.state = s
	if s.assigned != p.assigned {
		p.state.need = 0 // it crossed an assignment on its way: stale
	}
	if s.listen != 0 && p.incoming && !p.dial.IsValid() {
		// Where it can be dialed again; it must not be dialed now.
		p.dial = netip.AddrPortFrom(p.addr.Addr().Unmap(), s.listen)
		t.swarm.book.add(p.dial, SourceIncoming)
		t.swarm.book.connected(p.dial)
	}
	if s.interested != old.interested {
		t.swarm.interested += one(s.interested) - one(old.interested)
		t.choke.due = true
	}
	if s.snubbed && !old.snubbed {
		for len(p.mine) > 0 {
			t.disown(p.mine[0]) // others may go on with what it has begun
		}
		t.feedAll()
	}
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
		t.uncountPeer(p)
	}
	p.has = has
	if has.Full() {
		p.seed = true
		t.pieces.seeds++
		t.swarm.seeds++
	} else {
		t.countAvail(has, 1)
	}
	t.pick.rebuild = true
	p.wants = has.CountAndNot(&t.pieces.have)
	if t.pieces.missing != t.pieces.l.Pieces()-t.pieces.have.Count() {
		p.wants = t.countWants(has)
	}
	t.feed(p)
	t.parted(p)
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
	}
	t.pick.rebuild = true
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
		t.feed(p)
	}
	if p.has.Full() {
		t.becameSeed(p)
	}
}

// parted ends a connection that serves nobody, and remembers the seed as one not to
// be dialed while we are complete.
func (t *torrent) parted(p *peerEntry) {
	if t.life.state == Seeding && p.live && (p.seed || p.state.uploadOnly) {
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

func (t *torrent) giveBack(p *peerEntry, ref blockRef) {
	if i := t.dupOf(ref, p.id); i >= 0 {
		t.undouble(ref)
		return
	}
	a := t.pieces.partial(ref.piece)
	if a == nil {
		return
	}
	wasFull := a.free == 0
	if !t.pieces.giveBack(ref, p.id) {
		return
	}
	p.asked--
	// In endgame the second lease becomes the first.
	if who := t.undouble(ref); who != 0 {
		if q := t.swarm.byID[who]; q != nil && !q.gone {
			q.asked += t.pieces.askOne(a, ref.block, who)
		}
	}
	if wasFull && a.free > 0 {
		t.changed(ref.piece, picker.BusyChanged)
	}
}

func (t *torrent) dupOf(ref blockRef, who peerID) int {
	for i, d := range t.pick.dups {
		if d.ref == ref && d.who == who {
			return i
		}
	}
	return -1
}

// takeBlocks marks delivered blocks and hands their slots to storage.
func (t *torrent) takeBlocks(p *peerEntry, blocks []storage.Entry) {
	for _, e := range blocks {
		a := t.pieces.partial(e.Piece)
		if a == nil || t.life.state != Downloading {
			t.waste(e)
			continue
		}
		wasFree := a.free
		mine := a.state[e.Block] == blockAsked && a.by[e.Block] == p.id
		other, wanted := t.pieces.arrive(a, e.Block, p.id)
		if !wanted {
			t.waste(e)
			continue
		}
		ref := blockRef{e.Piece, e.Block}
		if mine {
			p.asked--
		}
		t.cancelOther(ref, p.id, other)
		t.disk.add(t.cfg.store, e)
		if wasFree != a.free && a.free == 0 {
			t.changed(e.Piece, picker.BusyChanged)
		}
	}
}

func (t *torrent) waste(e storage.Entry) {
	t.count.wasted += int64(e.Data.Len())
	e.Data.Release()
}

// cancelOther withdraws a block that came from elsewhere from whoever else was asked.
func (t *torrent) cancelOther(ref blockRef, from, other peerID) {
	if len(t.pick.dups) > 0 {
		if dup := t.undouble(ref); dup != 0 && dup != from {
			t.cancel(dup, ref)
		}
	}
	if other != 0 {
		if q := t.swarm.byID[other]; q != nil {
			q.asked--
		}
		t.cancel(other, ref)
	}
}

func (t *torrent) cancel(who peerID, ref blockRef) {
	if q := t.swarm.byID[who]; q != nil && !q.gone {
		a := assignments.Get()
		a.cancels = append(a.cancels, ref)
		q.child.Ref.Tell(a)
	}
}
