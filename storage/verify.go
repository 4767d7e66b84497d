package storage

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

// verifyState is whose turn it is: one torrent at a time has its files read, since
// a disk that seeks between torrents is slow.
type verifyState struct {
	queue queue[*torrent]
}

// checkState is a torrent's Verify.
type checkState struct {
	active bool
	todo   bits.Set
	next   int32 // pieces before it have been handed out
	busy   int   // jobs under way
	hashed int64
	err    error
	ended  bool
}

// onVerify begins to hash what is on the disk.
func (s *Storage) onVerify(_ *actor.Ctx[Message], t *torrent, m Verify) {
	if t.verify.active {
		t.tell(CheckDone{ID: t.id, Have: t.haveCopy(), Err: errBusy})
		return
	}
	v := checkState{active: true}
	if m.Pieces != nil {
		v.todo = m.Pieces.Clone()
	} else {
		v.todo = bits.New(t.lay.Pieces())
		v.todo.SetAll()
	}
	t.verify = v
	s.verify.queue.push(t)
}

// giveVerify hands out pieces of the torrent whose turn it is.
func (s *Storage) giveVerify(c *actor.Ctx[Message]) {
	for s.verify.queue.len() > 0 {
		t := s.verify.queue.front()
		for s.room(LaneHash) && t.mayWrite() && s.checkSome(c, t) {
		}
		if t.verify.next >= 0 {
			return
		}
		s.verify.queue.pop()
		s.checkEnd(t)
	}
}

// checkSome hands out one job; false if none is left.
func (s *Storage) checkSome(c *actor.Ctx[Message], t *torrent) bool {
	v := &t.verify
	if v.ended || v.next < 0 {
		v.next = -1
		return false
	}
	p := v.todo.NextSet(v.next)
	if v.next = p; p < 0 {
		return false
	}
	k := &verifyTask{store: t.store, boot: s.boot.id}
	for n := int64(0); p >= 0 && p < t.lay.Pieces() && (n == 0 || n+t.lay.PieceSize(metainfo.PieceIndex(p)) <= verifyBytes) && v.todo.Has(p); p++ {
		want, _ := t.info.PieceHash(metainfo.PieceIndex(p))
		k.pieces = append(k.pieces, verifyPiece{index: metainfo.PieceIndex(p), want: want, had: t.have.Has(p)})
		n += t.lay.PieceSize(metainfo.PieceIndex(p))
	}
	v.next = p
	v.busy++
	t.using[writing]++ // it appends to the state file
	s.submit(c, LaneHash, t, k)
	return true
}

// verified takes in what a job has found.
func (s *Storage) verified(c *actor.Ctx[Message], t *torrent, k *verifyTask) {
	t.using[writing]--
	s.recorded(t, k.logged, nil)
	v := &t.verify
	v.busy--
	v.hashed += k.hashed
	if k.err != nil && v.err == nil {
		v.err, v.ended = k.err, true
	}
	for i := range k.pieces {
		if pc := &k.pieces[i]; pc.done {
			s.checked(t, pc)
		}
	}
	s.checkEnd(t)
	s.advanceClose(c, t)
}

// checked takes in one piece.
func (s *Storage) checked(t *torrent, vp *verifyPiece) {
	p := int32(vp.index)
	switch had := t.have.Has(p); {
	case vp.ok && !had:
		if pc := t.pieces[vp.index]; pc != nil {
			if pc.hashing || pc.spill || pc.state != filling {
				return // it is on its way to the disk anyway
			}
			s.discard(pc)
		}
		s.gotPiece(t, vp.index)
	case !vp.ok && (had || t.facts.stale.Has(p)):
		s.losePiece(t, vp.index)
	}
	if !t.verify.ended {
		t.tell(Checked{ID: t.id, Piece: vp.index, OK: vp.ok})
	}
}

// losePiece ends the trust in a piece on the disk.
func (s *Storage) losePiece(t *torrent, p metainfo.PieceIndex) {
	if t.have.Clear(int32(p)) {
		t.files.lost(t, p)
	}
	t.facts.lose(int32(p))
	t.dirt.lost = append(t.dirt.lost, int32(p))
	s.sync.dirty.add(t)
}

// checkEnd answers Verify when its last job is back.
func (s *Storage) checkEnd(t *torrent) {
	v := &t.verify
	if !v.active || v.busy > 0 || v.next >= 0 && !v.ended {
		return
	}
	t.tell(CheckDone{ID: t.id, Have: t.haveCopy(), Hashed: v.hashed, Err: v.err})
	s.verify.queue.remove(func(x *torrent) bool { return x == t })
	t.verify = checkState{}
}

// endVerify stops a Verify; its jobs under way are still waited for.
func (s *Storage) endVerify(t *torrent, err error) {
	if !t.verify.active {
		return
	}
	t.verify.ended, t.verify.err = true, err
	s.checkEnd(t)
}
