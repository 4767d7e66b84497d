package storage

import (
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/sha1x2"
	"github.com/shoal-bt/shoal/metainfo"
)

// pieceState is where a piece is on its way.
type pieceState uint8

const (
	filling pieceState = iota // blocks are coming in
	ready                     // verified, waits to be written
	inWrite                   // a worker writes it
)

// piece holds the blocks of one piece between their arrival and the disk. It is
// reused: in steady state nothing is allocated.
type piece struct {
	t     *torrent
	index metainfo.PieceIndex
	n     int32 // blocks
	state pieceState

	slots  []*block.Block // by block; nil where absent or stored
	stored bits.Set       // blocks on disk, not verified
	memory int32          // blocks in slots
	edge   int32          // the first block that is neither here nor stored
	cursor int32          // blocks that went into sum
	sum    *sha1x2.Digest
	bad    bool // phantom payload with a mark

	queued  bool // in the torrent's hashq
	hashing bool // a worker has sum
	spill   bool // a worker writes its blocks as they are
	kept    bool // the torrent has been told that it waits for the disk
	touched clock.Time
	lonely  clock.Time // since when its run waits for another piece's; 0: it does not
}

// reset makes pc the piece p of t, with no block.
func (pc *piece) reset(t *torrent, p metainfo.PieceIndex) {
	n := t.lay.Blocks(p)
	slots, stored, sum := pc.slots[:0], pc.stored, pc.sum
	if cap(slots) < int(n) {
		slots = make([]*block.Block, 0, n)
	}
	if stored.Len() != n {
		stored = bits.New(n)
	}
	stored.Reset()
	if sum == nil {
		sum = sha1x2.New()
	}
	sum.Reset()
	*pc = piece{t: t, index: p, n: n, slots: slots[:n], stored: stored, sum: sum}
}

// has reports whether block b has come.
func (pc *piece) has(b int32) bool { return pc.slots[b] != nil || pc.stored.Has(b) }

// full reports whether all blocks have come.
func (pc *piece) full() bool { return pc.edge == pc.n }

// add takes a block in. It reports false if that has come already.
func (pc *piece) add(b int32, data *block.Block) bool {
	if pc.has(b) {
		return false
	}
	pc.slots[b] = data
	pc.memory++
	pc.advance()
	return true
}

func (pc *piece) advance() {
	for pc.edge < pc.n && pc.has(pc.edge) {
		pc.edge++
	}
}

// run returns how many blocks from cursor on are worth hashing now; 0 if none.
func (pc *piece) run() int32 {
	n := pc.edge - pc.cursor
	switch {
	case pc.hashing, pc.spill, n == 0, pc.state != filling:
		return 0
	case pc.full():
		return n
	}
	if n -= pc.storedFrom(n); n < runBlocks {
		return 0
	}
	return n
}

// storedFrom returns how many of the n blocks from cursor on lie at or behind the
// first stored one: those are read back only when the piece is full.
func (pc *piece) storedFrom(n int32) int32 {
	if pc.stored.None() {
		return 0
	}
	if s := pc.stored.NextSet(pc.cursor); s >= 0 && s < pc.cursor+n {
		return pc.cursor + n - s
	}
	return 0
}

// release gives all slots back.
func (pc *piece) release() {
	for i, b := range pc.slots {
		if b != nil {
			b.Release()
			pc.slots[i] = nil
		}
	}
	pc.memory = 0
}

// seal ends the time in which the blocks may change: they are verified.
func (pc *piece) seal() {
	for _, b := range pc.slots {
		if b != nil {
			b.Seal()
		}
	}
}

// pools keep what is reused. Owner: the actor.
type pools struct {
	pieces []*piece
	hash   []*hashTask
	write  []*writeTask
	read   []*readTask
}

func (p *pools) piece() *piece {
	if n := len(p.pieces); n > 0 {
		pc := p.pieces[n-1]
		p.pieces = p.pieces[:n-1]
		return pc
	}
	return &piece{}
}

// maxPooled bounds what is kept of each kind.
const maxPooled = 256

func (p *pools) putPiece(pc *piece) {
	pc.t = nil
	if len(p.pieces) < maxPooled {
		p.pieces = append(p.pieces, pc)
	}
}

func take[T any](list *[]*T) *T {
	if n := len(*list); n > 0 {
		v := (*list)[n-1]
		*list = (*list)[:n-1]
		return v
	}
	return new(T)
}

func give[T any](list *[]*T, v *T) {
	if len(*list) < maxPooled {
		*list = append(*list, v)
	}
}
