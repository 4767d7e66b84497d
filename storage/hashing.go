package storage

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
)

// hashState is about the run that waits for another one. Two runs of different
// pieces are hashed together at little more than the cost of one (package sha1x2), so
// one that is ready alone waits a moment: a single fast peer that fills one piece
// after the other has the next run here by then. A slow one costs a delay that
// nobody sees.
type hashState struct {
	timer bool
}

// mateTick is the time at which a run has waited long enough for another.
type mateTick struct{}

func (mateTick) storageMsg() {}

// enqueueHash lets the piece wait for a worker if there is something to hash.
func (s *Storage) enqueueHash(pc *piece) {
	if !pc.queued && pc.run() > 0 {
		pc.queued = true
		pc.t.hashq.push(pc)
		s.lanes.hash.add(pc.t)
	}
}

// giveHashes hands out runs of blocks, torrents in turn, two at a time.
func (s *Storage) giveHashes(c *actor.Ctx[Message]) {
	for s.room(LaneHash) {
		a := s.nextHash()
		if a == nil {
			return
		}
		b := s.nextHash()
		if b == nil && s.waitsForMate(c, a) {
			s.enqueueHash(a)
			return
		}
		s.hash(c, a, b)
	}
}

// nextHash takes the next piece that has a run, torrents in turn; nil if there is none.
func (s *Storage) nextHash() *piece {
	for range s.lanes.hash.len() {
		t := s.lanes.hash.next()
		pc := t.nextHash()
		if t.hashq.len() > 0 {
			s.lanes.hash.add(t)
		}
		if pc != nil {
			return pc
		}
	}
	return nil
}

func (t *torrent) nextHash() *piece {
	for t.hashq.len() > 0 {
		pc := t.hashq.front()
		if pc.full() && !pc.stored.None() && !t.mayRead() {
			return nil // reads back, and the files are fenced off
		}
		t.hashq.pop()
		pc.queued = false
		if pc.run() > 0 {
			return pc
		}
	}
	return nil
}

// waitsForMate decides whether the only run there is waits for another.
func (s *Storage) waitsForMate(c *actor.Ctx[Message], pc *piece) bool {
	now := c.Now()
	if pc.lonely == 0 {
		pc.lonely = now + 1 // 0 is none
	}
	if now.Sub(pc.lonely) >= mateTime || s.tight() || pc.t.phase != open {
		return false
	}
	if !s.hashes.timer {
		s.hashes.timer = true
		c.After(mateTime+1, mateTick{})
	}
	return true
}

// hash hands runs of one or two pieces to a worker.
func (s *Storage) hash(c *actor.Ctx[Message], a, b *piece) {
	na, nb := a.run(), int32(0)
	if b != nil {
		// What is longer than the other's run stays for the next mate.
		nb = b.run()
		na, nb = min(na, max(nb, runBlocks)), min(nb, max(na, runBlocks))
	}
	k := s.hashTask(a, na)
	if b != nil {
		k.mate = s.hashTask(b, nb)
	}
	s.start(c, &k.job, LaneHash, a.t, k)
}

// hashTask makes the task for n blocks of a piece from the cursor on.
func (s *Storage) hashTask(pc *piece, n int32) *hashTask {
	t := pc.t
	k := take(&s.pools.hash)
	k.pc, k.store, k.sum, k.piece = pc, t.store, pc.sum, pc.index
	k.first, k.n = pc.cursor, n
	k.final = pc.cursor+n == pc.n
	k.slots, k.stored, k.bad = pc.slots, &pc.stored, pc.bad
	k.size = min(int64(n)*metainfo.BlockSize, t.lay.PieceSize(pc.index)-int64(pc.cursor)*metainfo.BlockSize)
	if k.final {
		k.want, _ = t.info.PieceHash(pc.index)
		k.usesDisk = !pc.stored.None()
	}
	if k.usesDisk {
		t.using[reading]++
	}
	pc.hashing, pc.lonely = true, 0
	t.hashing++
	return k
}

// hashed takes pieces back from the hash worker.
func (s *Storage) hashed(c *actor.Ctx[Message], k *hashTask) {
	mate := k.mate
	s.hashedOne(c, k)
	if mate != nil {
		s.hashedOne(c, mate)
	}
}

func (s *Storage) hashedOne(c *actor.Ctx[Message], k *hashTask) {
	pc := k.pc
	t := pc.t
	if k.usesDisk {
		t.using[reading]--
	}
	pc.hashing = false
	t.hashing--
	if t.writeq.len() > 0 {
		s.lanes.write.add(t) // may have waited for this
	}
	pc.cursor += k.n
	switch {
	case t.phase == closing && t.closing.drop:
		s.letGo(pc)
	case k.err != nil:
		s.unreadable(c, pc, k.err)
	case !k.final:
		s.enqueueHash(pc)
	case k.ok:
		s.verifiedPiece(c, pc)
	default:
		t.tell(PieceDone{ID: t.id, Piece: pc.index, Sums: k.sums})
		s.discard(pc)
	}
	k.reset()
	give(&s.pools.hash, k)
	s.advanceClose(c, t)
}
