package engine

import (
	"slices"

	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
)

// pieces is what a torrent knows of its pieces: which it has, which it wants, who
// has them, and what is in progress. Owner: the torrent.
//
// Invariant: missing counts the wanted pieces that we don't have, unopened those
// of them without a partial, freeBlocks the free blocks of wanted partials, and
// lonely their blocks that are out at one peer only.
type pieces struct {
	l       metainfo.Lengths
	have    bits.Set
	log     []metainfo.PieceIndex // verified in this run, in order; append-only
	logTold int                   // of log: peers know
	toldAt  clock.Time
	prio    []uint8 // by piece; 0: not wanted
	avail   []int32 // by piece: how many peers have it, seeds left out
	seeds   int32   // peers that have all

	active     []*partial // by piece
	open       []*partial // the same, dense
	spare      []*partial
	missing    int32
	unopened   int32
	freeBlocks int32
	lonely     int32

	deadline map[metainfo.PieceIndex]clock.Time // of Readers' leases
	due      []metainfo.PieceIndex              // the same pieces, earliest first
	lent     map[metainfo.PieceIndex]struct{}   // wanted only for a Reader, until that has it
}

const normalPriority = 4

func newPieces(l metainfo.Lengths) *pieces {
	p := &pieces{l: l, have: bits.New(l.Pieces()), prio: make([]uint8, l.Pieces())}
	for i := range p.prio {
		p.prio[i] = normalPriority
	}
	p.recount()
	return p
}

// recount restores the counters after have or prio changed as a whole.
func (p *pieces) recount() {
	p.missing, p.unopened, p.freeBlocks, p.lonely = 0, 0, 0, 0
	for i := range p.prio {
		if !p.wants(metainfo.PieceIndex(i)) {
			continue
		}
		p.missing++
		if a := p.partial(metainfo.PieceIndex(i)); a != nil {
			p.on(a)
		} else {
			p.unopened++
		}
	}
}

// on adds a partial's blocks to the counters, off takes them out: around each change.
func (p *pieces) on(a *partial) {
	if p.wants(a.piece) {
		p.freeBlocks += a.free
		p.lonely += a.asked - a.dups
	}
}

func (p *pieces) off(a *partial) {
	if p.wants(a.piece) {
		p.freeBlocks -= a.free
		p.lonely -= a.asked - a.dups
	}
}

// wants reports whether piece i is wanted and not yet there.
func (p *pieces) wants(i metainfo.PieceIndex) bool {
	return p.prio[i] > 0 && !p.have.Has(int32(i))
}

func (p *pieces) partial(i metainfo.PieceIndex) *partial {
	if p.active == nil {
		return nil
	}
	return p.active[i]
}

// begin opens a piece for work.
func (p *pieces) begin(i metainfo.PieceIndex) *partial {
	if p.active == nil {
		p.active = make([]*partial, p.l.Pieces())
	}
	var a *partial
	if n := len(p.spare); n > 0 {
		a, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		a = new(partial)
	}
	a.reset(i, p.l.Blocks(i))
	a.slot = len(p.open)
	p.open = append(p.open, a)
	p.active[i] = a
	if p.wants(i) {
		p.unopened--
	}
	p.on(a)
	return a
}

// end closes a piece, verified or to be fetched again.
func (p *pieces) end(a *partial, verified bool) {
	last := p.open[len(p.open)-1]
	p.open[a.slot], last.slot = last, a.slot
	p.open = p.open[:len(p.open)-1]
	p.active[a.piece] = nil
	p.off(a)
	if p.wants(a.piece) {
		p.unopened++
	}
	if verified {
		p.got(a.piece)
	}
	if len(p.spare) < maxSparePartials {
		p.spare = append(p.spare, a)
	}
}

// maxSparePartials are kept for the next pieces, so that steady work allocates nothing.
const maxSparePartials = 64

// got records a verified piece that is not in progress.
func (p *pieces) got(i metainfo.PieceIndex) {
	if p.wants(i) {
		p.missing--
		p.unopened--
	}
	if p.have.Set(int32(i)) {
		p.log = append(p.log, i)
	}
	p.unlend(i)
	if _, due := p.deadline[i]; due {
		delete(p.deadline, i)
		p.due = slices.DeleteFunc(p.due, func(x metainfo.PieceIndex) bool { return x == i })
	}
}

// lend makes a piece wanted that nobody has selected but somebody reads, and reports
// whether that changes anything. The counters are to be made anew.
func (p *pieces) lend(i metainfo.PieceIndex) bool {
	if p.prio[i] > 0 || p.have.Has(int32(i)) {
		return false
	}
	if p.lent == nil {
		p.lent = map[metainfo.PieceIndex]struct{}{}
	}
	p.lent[i] = struct{}{}
	p.prio[i] = normalPriority
	return true
}

// unlend ends that.
func (p *pieces) unlend(i metainfo.PieceIndex) bool {
	if _, ok := p.lent[i]; !ok {
		return false
	}
	delete(p.lent, i)
	p.prio[i] = 0
	return true
}

func (p *pieces) isLent(i metainfo.PieceIndex) bool {
	_, ok := p.lent[i]
	return ok
}

// complete reports whether all that is selected is there.
func (p *pieces) complete() bool { return int(p.missing) == len(p.lent) }

// openBytes is the payload that pieces in progress may come to hold.
func (p *pieces) openBytes() int64 { return int64(len(p.open)) * p.l.PieceLen() }

// endgame reports whether all wanted blocks are out. Only then may a block be
// asked of a second peer.
func (p *pieces) endgame() bool { return p.unopened == 0 && p.freeBlocks == 0 && p.missing > 0 }

// facts shows the pieces to a picker.Strategy.
type facts struct {
	*pieces
	now  clock.Time
	rand func(int32) int32
}

// Pieces implements picker.Facts.
func (f *facts) Pieces() int32 { return f.l.Pieces() }

// Seeds implements picker.Facts.
func (f *facts) Seeds() int32 { return f.seeds }

// Owned implements picker.Facts.
func (f *facts) Owned() int32 { return f.have.Count() }

// Now implements picker.Facts.
func (f *facts) Now() clock.Time { return f.now }

// Rand implements picker.Facts.
func (f *facts) Rand(n int32) int32 { return f.rand(n) }

// Piece implements picker.Facts.
func (f *facts) Piece(i int32) picker.Piece {
	p := metainfo.PieceIndex(i)
	out := picker.Piece{Prio: f.prio[i], Have: f.have.Has(i)}
	if f.avail != nil {
		out.Avail = f.avail[i]
	}
	if a := f.partial(p); a != nil {
		out.Busy, out.Missing = true, a.free
	} else {
		out.Missing = f.l.Blocks(p)
	}
	out.Deadline = f.deadlineOf(p)
	return out
}

func (p *pieces) deadlineOf(i metainfo.PieceIndex) clock.Time {
	return p.deadline[i]
}

// ask leases up to n free blocks of a to who.
func (p *pieces) ask(a *partial, who peerID, n int32, found func(run)) int32 {
	p.off(a)
	asked := a.ask(who, n, found)
	p.on(a)
	return asked
}

// giveBack ends a first lease; false if it was not who's any more. A second lease of
// the block becomes the first: to is whose that is.
func (p *pieces) giveBack(a *partial, b metainfo.BlockIndex, who peerID) (to peerID, ok bool) {
	p.off(a)
	if ok = a.giveBack(b, who); ok {
		to = a.promote(b)
	}
	p.on(a)
	return to, ok
}

// double gives who a second lease of a block.
func (p *pieces) double(a *partial, b metainfo.BlockIndex, who peerID) {
	p.off(a)
	a.double(b, who)
	p.on(a)
}

// single ends the second lease of a block and returns whose it was.
func (p *pieces) single(a *partial, b metainfo.BlockIndex) peerID {
	p.off(a)
	who := a.single(b)
	p.on(a)
	return who
}

// arrive marks a delivered block of a that has no second lease.
func (p *pieces) arrive(a *partial, b metainfo.BlockIndex, who peerID) (wanted bool) {
	p.off(a)
	wanted = a.arrive(b, who)
	p.on(a)
	return wanted
}

func pieceIndex(i int32) metainfo.PieceIndex { return metainfo.PieceIndex(i) }
