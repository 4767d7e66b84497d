package engine

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/freelist"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
)

// picking is a torrent's part in "what is asked of whom": the strategy orders the
// pieces, the rest is bookkeeping. Owner: the torrent.
type picking struct {
	strategy picker.Strategy
	facts    facts
	hungry   []*peerEntry // have a need and may find work now
	idle     int          // peers whose need could not be met
	view     picker.Peer  // scratch, so that Order's argument does not escape
	dups     []dupAsk     // endgame: second leases
	rebuild  bool         // the strategy must look at everything anew
	ordering bool         // the strategy is at work and must not be called
	touched  []int32      // pieces whose Busy or Missing changed meanwhile
}

// dupAsk is a block leased to a second peer in endgame; the first is in its partial.
type dupAsk struct {
	ref blockRef
	who peerID
}

var assignments = freelist.New(func() *assignment { return new(assignment) }, func(a *assignment) {
	a.runs, a.cancels = a.runs[:0], a.cancels[:0]
})

// feed marks a peer as one that may find work, if it has room for any.
func (t *torrent) feed(p *peerEntry) {
	if p.state.need > 0 && !p.hungry {
		p.hungry = true
		t.pick.hungry = append(t.pick.hungry, p)
	}
}

// feedAll marks all whose need is unmet: work has come free.
func (t *torrent) feedAll() {
	if t.pick.idle == 0 {
		return
	}
	for _, p := range t.swarm.list {
		if p.waiting && p.wants > 0 {
			t.feed(p)
		}
	}
}

// serveHungry answers needs, each peer once a turn.
func (t *torrent) serveHungry(c *actor.Ctx[torrentMsg]) {
	if len(t.pick.hungry) == 0 {
		return
	}
	if t.pick.rebuild {
		t.pick.rebuild = false
		t.pick.strategy.Rebuild(&t.pick.facts)
	}
	for _, p := range t.pick.hungry {
		p.hungry = false
		if p.gone || p.state.need <= 0 {
			continue
		}
		t.setWaiting(p, !t.serve(p))
	}
	clear(t.pick.hungry)
	t.pick.hungry = t.pick.hungry[:0]
}

func (t *torrent) setWaiting(p *peerEntry, waiting bool) {
	if p.waiting != waiting {
		p.waiting = waiting
		if waiting {
			t.pick.idle++
		} else {
			t.pick.idle--
		}
	}
}

// serve finds work for one peer and reports whether it found any.
func (t *torrent) serve(p *peerEntry) bool {
	if p.wants == 0 || p.has == nil || p.banned || !t.mayAsk() {
		return false
	}
	if t.pressed() {
		return false
	}
	j := job{t: t, p: p, left: p.state.need, a: assignments.Get()}
	j.fromOwn()
	j.fromStrategy()
	if !p.parole {
		j.fromOthers()
		j.fromEndgame()
	}
	if len(j.a.runs) == 0 {
		assignments.Put(j.a)
		return false
	}
	p.assigned++
	p.state.need = 0
	p.child.Ref.Tell(j.a)
	return true
}

// mayAsk reports whether the torrent asks for blocks at all now.
func (t *torrent) mayAsk() bool {
	return t.life.state == Downloading && t.disk.trouble == nil && t.pieces.missing > 0
}

// pressed reports whether the slab is above its high mark; then the torrent asks
// storage to be told when it is below the low one.
func (t *torrent) pressed() bool {
	if t.disk.stalled {
		return true
	}
	_, high := slabMarks(t.cfg.deps.Slab)
	if t.cfg.deps.Slab.Used() < high {
		return false
	}
	t.stall()
	return true
}

// job is the search of work for one peer.
type job struct {
	t    *torrent
	p    *peerEntry
	left int32
	a    *assignment
}

func (j *job) add(r run) { j.a.runs = append(j.a.runs, r) }

// take leases free blocks of a partial.
func (j *job) take(a *partial) {
	asked := j.t.pieces.ask(a, j.p.id, j.left, j.add)
	j.left -= asked
	j.p.asked += asked
	if asked > 0 && a.free == 0 {
		j.t.changed(a.piece, picker.BusyChanged)
	}
}

// fromOwn goes on with pieces that the peer has begun alone.
func (j *job) fromOwn() {
	for _, a := range j.p.mine {
		if j.left <= 0 {
			return
		}
		if a.free > 0 && j.t.pieces.wants(a.piece) {
			j.take(a)
		}
	}
}

// fromStrategy takes pieces in the strategy's order: orphans and common ones that
// are in progress, or new ones.
func (j *job) fromStrategy() {
	if j.left <= 0 || j.t.pieces.unopened == 0 && j.t.pieces.freeBlocks == 0 {
		return
	}
	v := &j.t.pick.view
	p := j.p
	*v = picker.Peer{ID: uint32(p.id), Has: p.has, Rate: p.state.rate, RTT: int64(p.state.rtt),
		Queued: p.state.queued, Snubbed: p.state.snubbed, Parole: p.parole, Suggested: p.suggested}
	j.t.pick.ordering = true
	j.t.pick.strategy.Order(&j.t.pick.facts, v, j.offer)
	j.t.pick.ordering = false
	for _, i := range j.t.pick.touched {
		j.t.changed(metainfo.PieceIndex(i), picker.BusyChanged)
	}
	j.t.pick.touched = j.t.pick.touched[:0]
}

// offer is asked by the strategy for each piece, best first, until it says false.
func (j *job) offer(piece int32, _ picker.Hint) bool {
	i := metainfo.PieceIndex(piece)
	if !j.t.pieces.wants(i) || !j.p.has.Has(piece) {
		return true
	}
	a := j.t.pieces.partial(i)
	switch {
	case a == nil:
		if !j.t.mayOpen() {
			return true
		}
		a = j.begin(i)
	case a.owner != 0 && a.owner != j.p.id, a.free == 0:
		return true
	case j.p.parole && a.owner == 0:
		return true // what others have touched proves nothing
	}
	j.take(a)
	return j.left > 0
}

// begin opens a piece, for this peer alone while memory allows it: a piece from
// one hand that fails its hash names the liar at once.
func (j *job) begin(i metainfo.PieceIndex) *partial {
	t := j.t
	alone := j.p.parole || t.pieces.openBytes()+t.pieces.l.PieceLen() <= t.budget()/2
	a := t.pieces.begin(i)
	if alone {
		a.owner, a.parole = j.p.id, j.p.parole
		j.p.mine = append(j.p.mine, a)
	}
	t.changed(i, picker.BusyChanged)
	return a
}

// budget is the slab in bytes.
func (t *torrent) budget() int64 { return int64(t.cfg.deps.Slab.Budget()) * metainfo.BlockSize }

// mayOpen bounds the pieces in progress by what the slab can hold; two are always
// allowed, whatever their length.
func (t *torrent) mayOpen() bool {
	return len(t.pieces.open) < 2 || t.pieces.openBytes()+t.pieces.l.PieceLen() <= t.budget()/4*3
}

// fromOthers joins pieces that other peers have begun, when there is nothing else.
func (j *job) fromOthers() {
	for _, a := range j.t.pieces.open {
		if j.left <= 0 || j.t.pieces.freeBlocks == 0 {
			return
		}
		if a.free > 0 && !a.parole && j.p.has.Has(int32(a.piece)) && j.t.pieces.wants(a.piece) {
			j.t.disown(a)
			j.take(a)
		}
	}
}

// fromEndgame asks for blocks that others were asked for already. Only when all
// wanted blocks are out: each is worth fetching twice rather than waiting for a
// slow peer, and the slower copy is cancelled.
func (j *job) fromEndgame() {
	t := j.t
	if j.left <= 0 || !t.pieces.endgame() {
		return
	}
	j.left = min(j.left, endgameDepth-j.p.dups)
	for _, a := range t.pieces.open {
		if a.asked == 0 || a.parole || !j.p.has.Has(int32(a.piece)) || !t.pieces.wants(a.piece) {
			continue
		}
		for b := range a.state {
			if j.left <= 0 {
				return
			}
			ref := blockRef{a.piece, metainfo.BlockIndex(b)}
			if a.state[b] == blockAsked && a.by[b] != j.p.id && !t.doubled(ref) {
				t.pick.dups = append(t.pick.dups, dupAsk{ref, j.p.id})
				j.p.dups++
				j.left--
				j.add(run{ref.piece, ref.block, 1})
			}
		}
	}
}

// endgameDepth bounds the blocks that one peer is asked for in endgame: what is
// fetched in vain is at most this, times the peers.
const endgameDepth = 16

func (t *torrent) doubled(ref blockRef) bool {
	for _, d := range t.pick.dups {
		if d.ref == ref {
			return true
		}
	}
	return false
}

// undouble removes the second leases of a block and returns whose they were (0: none).
func (t *torrent) undouble(ref blockRef) peerID {
	for i, d := range t.pick.dups {
		if d.ref == ref {
			last := len(t.pick.dups) - 1
			t.pick.dups[i] = t.pick.dups[last]
			t.pick.dups = t.pick.dups[:last]
			if p := t.swarm.byID[d.who]; p != nil {
				p.dups--
			}
			return d.who
		}
	}
	return 0
}

// disown opens a piece to everybody.
func (t *torrent) disown(a *partial) {
	if a.owner == 0 {
		return
	}
	if p := t.swarm.byID[a.owner]; p != nil {
		p.forget(a)
	}
	a.owner, a.parole = 0, false
}

// changed tells the strategy of one piece, after Order if it is at work.
func (t *torrent) changed(i metainfo.PieceIndex, c picker.Change) {
	switch {
	case t.pick.rebuild:
	case t.pick.ordering:
		t.pick.touched = append(t.pick.touched, int32(i))
	default:
		t.pick.strategy.Changed(&t.pick.facts, int32(i), c)
	}
}
