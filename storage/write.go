package storage

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
)

// giveWrites hands out verified pieces, torrents in turn. While reads wait they
// come first: then at most one write is under way.
func (s *Storage) giveWrites(c *actor.Ctx[Message]) {
	for range s.lanes.write.len() {
		if !s.room(LaneWrite) || s.readsWait() && s.lanes.busy[LaneWrite] > 0 && !s.tight() {
			return
		}
		t := s.lanes.write.next()
		if !t.mayWrite() || t.trouble.err != nil && !t.trouble.probe || t.gathering() {
			continue // comes back when the fence falls, with the next attempt or piece
		}
		if k := s.nextWrite(t); k != nil {
			k.probe = t.trouble.probe
			t.trouble.probe, t.trouble.tried = false, k.probe
			s.write(c, t, k)
		}
		if t.writeq.len() > 0 && t.trouble.err == nil {
			s.lanes.write.add(t)
		}
	}
}

// readsWait reports whether reads wait for a worker, rather than for slots.
func (s *Storage) readsWait() bool { return s.lanes.read.len() > 0 && !s.budget.starved }

// gathering reports whether small pieces had better wait for their neighbours,
// which are being hashed.
func (t *torrent) gathering() bool {
	return t.hashing > 0 && t.phase == open && int64(t.writeq.len())*t.lay.PieceLen() < writeBlocks*metainfo.BlockSize
}

// nextWrite takes the oldest verified piece and, if pieces are small, the
// neighbours that are verified too; nil if there is none.
func (s *Storage) nextWrite(t *torrent) *writeTask {
	for t.writeq.len() > 0 {
		pc := t.writeq.pop()
		if pc.t != t || pc.state != ready { // merged into an earlier write
			continue
		}
		k := take(&s.pools.write)
		first, last := t.mergeable(pc)
		for p := first; p <= last; p++ {
			k.pieces = append(k.pieces, t.pieces[p])
		}
		return k
	}
	return nil
}

// mergeable returns the range of verified pieces around pc that go into one write.
func (t *torrent) mergeable(pc *piece) (first, last metainfo.PieceIndex) {
	first, last = pc.index, pc.index
	n := pc.memory
	for n < writeBlocks {
		switch {
		case t.isReady(last+1, writeBlocks-n):
			last++
			n += t.pieces[last].memory
		case t.isReady(first-1, writeBlocks-n):
			first--
			n += t.pieces[first].memory
		default:
			return first, last
		}
	}
	return first, last
}

func (t *torrent) isReady(p metainfo.PieceIndex, room int32) bool {
	pc := t.pieces[p]
	return pc != nil && pc.state == ready && pc.memory <= room
}

// write hands pieces to a worker, with the record that they will have been written.
func (s *Storage) write(c *actor.Ctx[Message], t *torrent, k *writeTask) {
	k.store = t.store
	for _, pc := range k.pieces {
		pc.state = inWrite
		k.indexes = append(k.indexes, int32(pc.index))
		k.addBlocks(t.lay, pc)
	}
	k.past = t.writesPast(c.Now())
	k.record = appendPieces(k.record[:0], recWritten, s.boot.id, k.indexes)
	t.using[writing]++
	s.start(c, &k.job, LaneWrite, t, k)
}

// writesPast reports whether what is written now is not soon read again: nobody
// fetches from us.
func (t *torrent) writesPast(now clock.Time) bool {
	return t.lay.Total() >= pastTotal && (t.lastRead == 0 || now.Sub(t.lastRead) > readRecently)
}

// written takes pieces back from the writer.
func (s *Storage) written(c *actor.Ctx[Message], k *writeTask) {
	t := k.job.t
	t.using[writing]--
	if k.spill {
		s.spilled(c, t, k)
	} else if k.err != nil {
		s.notWritten(c, t, k)
	} else {
		s.wrote(c, t, k)
	}
	k.reset()
	give(&s.pools.write, k)
	s.advanceClose(c, t)
}

// wrote notes pieces that are on the disk now.
func (s *Storage) wrote(c *actor.Ctx[Message], t *torrent, k *writeTask) {
	s.recorded(t, int64(len(k.record)), k.recordErr)
	t.facts.setBoot(s.boot.id)
	for _, pc := range k.pieces {
		p := pc.index
		s.letGo(pc)
		s.gotPiece(t, p)
		t.tell(PieceDone{ID: t.id, Piece: p, OK: true})
	}
	if k.probe { // one that was under way with the one that failed says nothing
		t.trouble.tried = false
		s.outOfTrouble(c, t)
	}
}

// gotPiece notes a piece that is verified and in its files, and what follows from it.
func (s *Storage) gotPiece(t *torrent, p metainfo.PieceIndex) {
	t.have.Set(int32(p))
	t.facts.addWritten(int32(p))
	t.move.changed(p)
	s.soil(t, p)
	s.countFiles(t, p)
}

// notWritten keeps verified pieces that the disk did not take.
func (s *Storage) notWritten(c *actor.Ctx[Message], t *torrent, k *writeTask) {
	s.inTrouble(c, t, k.err)
	t.trouble.tried = t.trouble.tried && !k.probe
	for _, pc := range k.pieces {
		pc.state = ready
		t.writeq.push(pc)
		s.keep(pc)
	}
	s.lanes.write.add(t)
}

// keep tells the torrent that a verified piece waits for the disk, or lets it go
// when too much waits already.
func (s *Storage) keep(pc *piece) {
	t := pc.t
	if pc.kept {
		return
	}
	if t.trouble.kept+int(pc.memory) > s.marks.kept {
		t.writeq.remove(func(x *piece) bool { return x == pc })
		t.tell(PieceDone{ID: t.id, Piece: pc.index, Err: t.trouble.err})
		s.discard(pc)
		return
	}
	pc.kept = true
	t.trouble.kept += int(pc.memory)
	t.tell(PieceDone{ID: t.id, Piece: pc.index, Err: t.trouble.err, Kept: true})
}
