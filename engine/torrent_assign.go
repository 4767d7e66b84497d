package engine

import (
	"slices"
	"time"

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
	freed    bool         // they may find work now
	armedAt  actor.Time   // when tickHungry comes, if it is armed
	again    actor.Time   // when somebody may have what it was refused; Never: unknown
	cancels  []*peerEntry // have something to be cancelled in this turn
	view     picker.Peer  // scratch, so that Order's argument does not escape
	rebuild  bool         // the strategy must look at everything anew
	ordering bool         // the strategy is at work and must not be called
	touched  []int32      // pieces whose Busy or Missing changed meanwhile
}

var assignments = freelist.New(func() *assignment { return new(assignment) }, func(a *assignment) {
	a.runs, a.cancels = a.runs[:0], a.cancels[:0]
})

// feed marks a peer as one that may find work, if it has room for any.
func (t *torrent) feed(p *peerEntry) {
	if p.room() > 0 && !p.hungry {
		p.hungry = true
		t.pick.hungry = append(t.pick.hungry, p)
	}
}

// room is how many more requests the peer can make as things stand.
func (p *peerEntry) room() int32 { return max(p.state.need, p.state.needFast) }

// feedAll lets all whose need is unmet look for work again, once in this turn: some
// has come free.
func (t *torrent) feedAll() { t.pick.freed = true }

// gatherHungry adds those whose need is unmet to the list of those to serve.
func (t *torrent) gatherHungry() {
	if !t.pick.freed {
		return
	}
	t.pick.freed = false
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
	t.gatherHungry()
	if len(t.pick.hungry) == 0 {
		return
	}
	t.pick.again = actor.Never
	if t.pick.rebuild && t.known() {
		t.pick.rebuild = false
		t.pick.strategy.Rebuild(&t.pick.facts)
	}
	for _, p := range t.pick.hungry {
		p.hungry = false
		if p.gone || p.room() <= 0 {
			continue
		}
		t.setWaiting(p, !t.serve(c, p))
	}
	clear(t.pick.hungry)
	t.pick.hungry = t.pick.hungry[:0]
	if at := t.pick.again; at != actor.Never && (!t.armed(tickHungry) || at < t.pick.armedAt) {
		t.pick.armedAt = at
		t.after(c, at.Sub(c.Now()), tickHungry)
	}
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
func (t *torrent) serve(c *actor.Ctx[torrentMsg], p *peerEntry) bool {
	if p.wants == 0 || p.has == nil || !t.mayAsk() || !t.anyWork() || t.pressed() {
		return false
	}
	if p.state.snubbed && t.othersServe(p) {
		return false
	}
	j := job{t: t, p: p, now: c.Now(), left: p.state.need, a: assignments.Get()}
	if p.state.chokesUs {
		j.left = p.state.needFast
		j.fromFast()
	} else {
		j.fromDue()
		j.fromOwn()
		j.fromStrategy()
		j.fromOthers()
		j.fromEndgame()
	}
	if len(j.a.runs) == 0 {
		assignments.Put(j.a)
		return false
	}
	p.assigned++
	p.state.need, p.state.needFast = 0, 0
	p.child.Ref.Tell(j.a)
	return true
}

// anyWork reports whether there is anything to ask for, of anybody. It keeps many
// idle peers cheap.
func (t *torrent) anyWork() bool {
	p := t.pieces
	return p.freeBlocks > 0 || p.unopened > 0 && t.mayOpen() || p.endgame() && p.lonely > 0 || len(p.deadline) > 0
}

// othersServe reports whether somebody else can be asked who is not snubbed: then a
// peer that owes us blocks gets no further ones.
func (t *torrent) othersServe(p *peerEntry) bool {
	for _, q := range t.swarm.list {
		if q != p && q.live && !q.gone && !q.state.snubbed && !q.state.chokesUs && q.wants > 0 {
			return true
		}
	}
	return false
}

// mayAsk reports whether the torrent asks for blocks at all now.
func (t *torrent) mayAsk() bool {
	return t.mayConnect() && !t.cfg.seedOnly && t.disk.trouble == nil && t.pieces.missing > 0
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
	now  actor.Time
	left int32
	a    *assignment
}

func (j *job) add(r run) { j.a.runs = append(j.a.runs, r) }

// since reports whether a time has come. If not, it is looked again when it has.
func (j *job) since(at actor.Time) bool {
	if j.now < at {
		j.t.pick.again = min(j.t.pick.again, at)
	}
	return j.now >= at
}

// take leases free blocks of a partial.
func (j *job) take(a *partial) {
	wasFree := a.free
	asked := j.t.pieces.ask(a, j.p.id, j.left, j.add)
	j.left -= asked
	j.p.asked += asked
	j.t.freeChanged(a, wasFree)
}

// freeChanged tells the strategy when a piece's last free block has gone out, or the
// first has come back: the picker's Busy change.
func (t *torrent) freeChanged(a *partial, wasFree int32) {
	if (wasFree == 0) != (a.free == 0) {
		t.changed(a.piece, picker.BusyChanged)
	}
}

// hurryWithin of its deadline a piece is asked for of others, too.
const hurryWithin = 5 * time.Second

// fromDue takes what Readers wait for, with every strategy.
func (j *job) fromDue() {
	for _, i := range j.t.pieces.due {
		if j.left <= 0 {
			return
		}
		var h picker.Hint
		if j.since(j.t.pieces.deadline[i].Add(-hurryWithin)) {
			h = picker.Urgent
		}
		j.accept(i, h)
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
	if j.left > 0 && (j.t.pieces.unopened > 0 || j.t.pieces.freeBlocks > 0 || len(j.t.pieces.deadline) > 0) {
		j.order(j.p.suggested, j.offer)
	}
}

// fromFast asks a peer that chokes us for pieces that it allows all the same (BEP 6).
// The strategy takes them for suggestions: one that insists on an order does not care
// for them, and is not overruled.
func (j *job) fromFast() {
	if j.left <= 0 || len(j.p.fast) == 0 {
		return
	}
	j.order(j.p.fast, func(piece int32, h picker.Hint) bool {
		if !slices.Contains(j.p.fast, piece) {
			return j.t.pieces.partial(metainfo.PieceIndex(piece)) != nil
		}
		return j.offer(piece, h)
	})
}

// order lets the strategy offer pieces.
func (j *job) order(suggested []int32, offer func(int32, picker.Hint) bool) {
	v := &j.t.pick.view
	p := j.p
	*v = picker.Peer{ID: uint32(p.id), Has: p.has, Rate: p.state.rate, RTT: int64(p.state.rtt),
		Queued: p.state.queued, Snubbed: p.state.snubbed, Parole: p.parole, Suggested: suggested}
	j.t.pick.ordering = true
	j.t.pick.strategy.Order(&j.t.pick.facts, v, offer)
	j.t.pick.ordering = false
	for _, i := range j.t.pick.touched {
		j.t.changed(metainfo.PieceIndex(i), picker.BusyChanged)
	}
	j.t.pick.touched = j.t.pick.touched[:0]
}

// offer is asked by the strategy for each piece, best first, until it says false. A
// piece that nobody has begun ends it when no more may be begun: what is in progress
// is found without the strategy.
func (j *job) offer(piece int32, h picker.Hint) bool {
	i := metainfo.PieceIndex(piece)
	if !j.t.pieces.l.Valid(i) {
		return true
	}
	if j.t.pieces.partial(i) == nil && !j.mayBegin() {
		return false
	}
	j.accept(i, h)
	return j.left > 0
}

// accept asks for blocks of a piece, if there are any for this peer.
func (j *job) accept(i metainfo.PieceIndex, h picker.Hint) {
	a := j.open(i, h)
	if a == nil {
		return
	}
	j.take(a)
	if h&picker.Urgent != 0 && !j.p.parole && j.now >= a.begun.Add(hurryAfter) {
		j.doubleIn(a) // a Reader can't wait for those who have been asked
	}
}

// open returns a piece in which the peer may ask for blocks, begun now if it was
// not; nil if there is nothing in it for this peer.
func (j *job) open(i metainfo.PieceIndex, h picker.Hint) *partial {
	p := j.t.pieces
	if !p.wants(i) || !j.p.has.Has(int32(i)) {
		return nil
	}
	a := p.partial(i)
	whole := j.p.parole || h&picker.Whole != 0
	switch {
	case a == nil && !j.mayBegin():
		return nil
	case a == nil:
		return j.begin(i, whole)
	case a.owner == j.p.id:
		return a
	case a.owner == 0 && a.untouched():
		if j.onTrial() {
			return nil
		}
		j.own(a, whole)
		return a
	case whole || a.parole:
		return nil // what others have touched proves nothing
	case h&picker.Urgent != 0 && j.since(a.begun.Add(hurryAfter)):
		j.t.disown(a)
		return a
	case a.owner != 0 || a.free == 0 || !j.mayJoin(a):
		return nil
	}
	return a
}

// hurryAfter is how long whoever has begun a piece that a Reader waits for may keep
// it alone.
const hurryAfter = 2 * time.Second

// begin opens a piece, for this peer alone while memory allows it: a piece from
// one hand that fails its hash names the liar at once.
func (j *job) begin(i metainfo.PieceIndex, whole bool) *partial {
	a := j.t.pieces.begin(i)
	j.own(a, whole)
	j.t.changed(i, picker.BusyChanged)
	return a
}

// own gives a piece that nobody has touched to the peer, alone if need or memory allow.
func (j *job) own(a *partial, whole bool) {
	a.begun = j.now
	if whole || j.t.pieces.openBytes() <= j.t.budget()/2 {
		a.owner, a.parole = j.p.id, j.p.parole
		j.p.mine = append(j.p.mine, a)
	}
}

// budget is the slab in bytes.
func (t *torrent) budget() int64 { return int64(t.cfg.deps.Slab.Budget()) * metainfo.BlockSize }

// mayOpen bounds the pieces in progress by what the slab can hold; two are always
// allowed, whatever their length.
func (t *torrent) mayOpen() bool {
	return len(t.pieces.open) < 2 || t.pieces.openBytes()+t.pieces.l.PieceLen() <= t.budget()/4*3
}

// paroleTime is how long a peer on parole may keep a piece from the others.
const paroleTime = 30 * time.Second

// fromOthers joins pieces that other peers have begun, when there is nothing else.
// A peer on parole does so only if it finds nothing that nobody has touched, since its
// pieces are to have one author; who holds one for too long loses that privilege, so
// that it can't keep the download from its end.
func (j *job) fromOthers() {
	p := j.t.pieces
	if j.p.parole && len(j.a.runs) > 0 {
		return
	}
	for _, a := range p.open {
		if j.left <= 0 || p.freeBlocks == 0 {
			return
		}
		if a.free > 0 && j.p.has.Has(int32(a.piece)) && p.wants(a.piece) && !j.guarded(a) {
			j.t.disown(a)
			j.take(a)
		}
	}
}

// fromEndgame asks for blocks that others were asked for already. Only when all
// wanted blocks are out: each is worth fetching twice rather than waiting for a
// slow peer, and the slower copy is cancelled.
func (j *job) fromEndgame() {
	p := j.t.pieces
	if j.p.parole || j.left <= 0 || !p.endgame() {
		return
	}
	for _, a := range p.open {
		if p.lonely == 0 {
			return
		}
		if a.asked > a.dups && j.p.has.Has(int32(a.piece)) && p.wants(a.piece) && !j.guarded(a) {
			j.doubleIn(a)
		}
	}
}

// endgameDepth bounds the blocks that one peer is asked for as a second: what is
// fetched in vain is at most this, times the peers.
const endgameDepth = 16

// doubleIn takes second leases of a piece's blocks.
func (j *job) doubleIn(a *partial) {
	room := min(j.left, endgameDepth-j.p.dups)
	for b := range a.state {
		if room <= 0 || a.asked == a.dups {
			return
		}
		i := metainfo.BlockIndex(b)
		if h := a.holder(i); h == 0 || h == j.p.id || a.doubled(i) != 0 {
			continue
		}
		j.t.pieces.double(a, i, j.p.id)
		j.p.dups++
		j.left--
		room--
		j.add(run{a.piece, i, 1})
	}
}

// disown opens a piece to everybody.
func (t *torrent) disown(a *partial) {
	t.unown(a)
	a.owner, a.parole = 0, false
}

// unown takes a piece out of its owner's list.
func (t *torrent) unown(a *partial) {
	if p := t.swarm.byID[a.owner]; a.owner != 0 && p != nil {
		p.forget(a)
	}
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
