package storage

import (
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
)

// onRead answers from memory what is there, and lets the rest wait for a worker.
func (s *Storage) onRead(c *actor.Ctx[Message], r *Read) {
	r.Err = nil
	r.Blocks = r.Blocks[:0]
	t := s.torrents[r.ID]
	if t == nil || t.phase != open {
		s.refuse(r, ErrUnknown)
		return
	}
	if r.Begin < 0 || r.Length <= 0 || r.Length > maxRead || r.Begin+r.Length > t.lay.PieceSize(r.Piece) ||
		r.Begin%block.Size != 0 && r.Length > block.Size {
		s.refuse(r, fmt.Errorf("storage: read of %d bytes at %d of piece %d", r.Length, r.Begin, r.Piece))
		return
	}
	t.lastRead = c.Now()
	if pc := t.piece(r.Piece); pc != nil && pc.state != filling && pc.lend(r) {
		r.Reply.Tell(r)
		return
	}
	if !t.have.Has(int32(r.Piece)) {
		s.refuse(r, ErrNotHave)
		return
	}
	t.readq.push(r)
	s.lanes.read.add(t)
}

func (s *Storage) refuse(r *Read, err error) {
	r.Err = err
	r.Reply.Tell(r)
}

// lend answers a read from the slots of a verified piece, if it asks for whole
// blocks that are all in memory.
func (pc *piece) lend(r *Read) bool {
	first := int32(r.Begin / block.Size)
	last := int32((r.Begin + r.Length - 1) / block.Size)
	n := int64(0)
	for b := first; b <= last; b++ {
		if pc.slots[b] == nil {
			return false
		}
		n += int64(pc.slots[b].Len())
	}
	if r.Begin%block.Size != 0 || n != r.Length {
		return false
	}
	for b := first; b <= last; b++ {
		r.Blocks = append(r.Blocks, pc.slots[b].Retain())
	}
	return true
}

// giveReads hands out reads, torrents in turn, for as long as there are slots.
func (s *Storage) giveReads(c *actor.Ctx[Message]) {
	s.budget.starved = false
	for range s.lanes.read.len() {
		if !s.room(LaneRead) || s.budget.starved {
			return
		}
		t := s.lanes.read.next()
		if !t.mayRead() {
			continue // comes back when the fence falls
		}
		if t.sums.len() > 0 {
			t.using[reading]++
			s.submit(c, LaneRead, t, t.sums.pop())
		} else if t.readq.len() > 0 {
			s.read(c, t)
		}
		if t.readq.len()+t.sums.len() > 0 {
			s.lanes.read.add(t)
		}
	}
}

// read hands the torrent's oldest read to a worker, if there are slots for it.
func (s *Storage) read(c *actor.Ctx[Message], t *torrent) {
	r := t.readq.front()
	if pc := t.piece(r.Piece); pc == nil && !t.have.Has(int32(r.Piece)) {
		s.refuse(t.readq.pop(), ErrNotHave) // lost meanwhile
		return
	}
	k := take(&s.pools.read)
	if !k.lease(s.cfg.Uploads, r.Length) {
		s.budget.starved = true
		give(&s.pools.read, k)
		return
	}
	k.req, k.store = t.readq.pop(), t.store
	k.off = t.lay.PieceOffset(r.Piece) + r.Begin
	t.using[reading]++
	s.start(c, &k.job, LaneRead, t, k)
}

// wasRead answers a read.
func (s *Storage) wasRead(k *readTask) {
	t := k.job.t
	t.using[reading]--
	if k.err != nil {
		k.release()
		s.refuse(k.req, k.err)
		s.suspicious(t, k.err)
	} else {
		for _, b := range k.blocks {
			k.req.Blocks = append(k.req.Blocks, b.Seal())
		}
		k.req.Reply.Tell(k.req)
	}
	k.reset()
	give(&s.pools.read, k)
}
