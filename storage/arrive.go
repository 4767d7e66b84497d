package storage

import (
	"sync"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

var batches = sync.Pool{New: func() any { return new(Blocks) }}

// NewBlocks returns an empty batch for a torrent. Storage takes it back by itself
// once it has been sent.
func NewBlocks(id ID) *Blocks {
	b := batches.Get().(*Blocks)
	b.ID = id
	return b
}

func putBlocks(b *Blocks) {
	clear(b.Entries)
	b.Entries = b.Entries[:0]
	batches.Put(b)
}

// onBlocks takes in what peers have delivered.
func (s *Storage) onBlocks(c *actor.Ctx[Message], m *Blocks) {
	t := s.torrents[m.ID]
	if t == nil || t.phase != open || t.opt.ReadOnly {
		m.Drop()
		putBlocks(m)
		return
	}
	for i := range m.Entries {
		s.arrive(c, t, &m.Entries[i])
	}
	putBlocks(m)
}

// arrive takes in one block. What was not asked for is dropped.
func (s *Storage) arrive(c *actor.Ctx[Message], t *torrent, e *Entry) {
	pc := t.piece(e.Piece)
	if pc == nil {
		if pc = s.begin(t, e.Piece); pc == nil {
			e.Data.Release()
			return
		}
	}
	b := int32(e.Block)
	if b < 0 || b >= pc.n || pc.state != filling || e.Data.Len() != int(t.lay.BlockLen(e.Piece, e.Block)) || !pc.add(b, e.Data) {
		e.Data.Release()
		return
	}
	pc.touched = c.Now()
	pc.bad = pc.bad || e.Data.Mark != 0
	s.enqueueHash(pc)
}

// begin makes room for a piece's blocks; nil if the piece is not wanted.
func (s *Storage) begin(t *torrent, p metainfo.PieceIndex) *piece {
	if !t.lay.Valid(p) || t.have.Has(int32(p)) {
		return nil
	}
	pc := s.pools.piece()
	pc.reset(t, p)
	if i := t.facts.partialAt(p); i >= 0 {
		pc.stored.CopyFrom(t.facts.partials[i].Blocks)
		pc.advance()
	}
	t.pieces[p], t.last = pc, pc
	return pc
}

// verifiedPiece sends a good piece on its way to the disk.
func (s *Storage) verifiedPiece(c *actor.Ctx[Message], pc *piece) {
	t := pc.t
	pc.seal()
	pc.state = ready
	t.writeq.push(pc)
	s.lanes.write.add(t)
	if t.trouble.err != nil {
		s.keep(pc)
	}
}

// unreadable ends a piece whose stored blocks can't be read back.
func (s *Storage) unreadable(c *actor.Ctx[Message], pc *piece, err error) {
	t := pc.t
	s.inTrouble(c, t, err)
	t.tell(PieceDone{ID: t.id, Piece: pc.index, Err: err})
	s.discard(pc)
}

// discard forgets all blocks of a piece, also those on disk.
func (s *Storage) discard(pc *piece) {
	t := pc.t
	if !pc.stored.None() {
		t.facts.dropPartial(pc.index)
		t.dirt.lost = append(t.dirt.lost, int32(pc.index))
		s.sync.dirty.add(t)
	}
	s.letGo(pc)
}

// letGo ends a piece's stay in memory.
func (s *Storage) letGo(pc *piece) {
	t := pc.t
	if pc.kept {
		t.trouble.kept -= int(pc.memory)
	}
	if pc.queued {
		t.hashq.remove(func(x *piece) bool { return x == pc })
	}
	pc.release()
	t.forget(pc)
	s.pools.putPiece(pc)
}

// partialsOf returns what is stored of unfinished pieces, as copies.
func partialsOf(f *facts) []Partial {
	var out []Partial
	for _, p := range f.partials {
		b := p.Blocks.Clone()
		out = append(out, Partial{p.Piece, &b})
	}
	return out
}

// onSum asks a worker for the fingerprints of a piece's blocks.
func (s *Storage) onSum(c *actor.Ctx[Message], t *torrent, m Sum) {
	k := &sumTask{store: t.store, piece: m.Piece}
	pc := t.piece(m.Piece)
	switch {
	case pc != nil && pc.state != filling && pc.stored.None():
		for _, b := range pc.slots {
			k.blocks = append(k.blocks, b.Retain())
		}
	case !t.have.Has(int32(m.Piece)):
		t.tell(Sums{ID: t.id, Piece: m.Piece, Err: ErrNotHave})
		return
	}
	t.sums.push(k)
	s.lanes.read.add(t)
}

// summed answers Sum.
func (s *Storage) summed(t *torrent, k *sumTask) {
	t.using[reading]--
	k.drop()
	t.tell(Sums{ID: t.id, Piece: k.piece, Sums: k.sums, Err: k.err})
}

// haveCopy returns the verified pieces, for the torrent to own.
func (t *torrent) haveCopy() *bits.Set {
	b := t.have.Clone()
	return &b
}
