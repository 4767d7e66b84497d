package storage

import (
	"github.com/shoal-bt/shoal/actor"
)

// closeState is how far a torrent's stay has ended.
type closeState struct {
	req   Close
	drop  bool // what is in memory is not wanted any more
	spilt bool // partial pieces have been sent to the disk
	last  bool // the last step has been queued
}

// onClose begins to end a torrent's stay.
func (s *Storage) onClose(c *actor.Ctx[Message], m Close) {
	t := s.torrents[m.ID]
	if t == nil || t.phase != open {
		return // answered when it could not be opened, or closed before
	}
	t.phase = closing
	t.closing = closeState{req: m, drop: m.Delete || m.Forget}
	s.endVerify(t, ErrClosed)
	s.budget.stalled.remove(func(x *torrent) bool { return x == t })
	for t.readq.len() > 0 {
		s.refuse(t.readq.pop(), ErrClosed)
	}
	for t.sums.len() > 0 {
		k := t.sums.pop()
		k.drop()
		t.tell(Sums{ID: t.id, Piece: k.piece, Err: ErrClosed})
	}
	if t.closing.drop {
		s.dropPieces(t)
	}
	if t.trouble.err != nil && t.writeq.len() > 0 && !t.trouble.missing { // one more attempt
		t.trouble.probe = true
		s.lanes.write.add(t)
	}
	s.advanceClose(c, t)
}

// dropPieces gives back all slots that no worker holds.
func (s *Storage) dropPieces(t *torrent) {
	t.hashq.remove(func(pc *piece) bool { pc.queued = false; return true })
	t.writeq.remove(func(*piece) bool { return true })
	for _, pc := range t.pieces { //order: irrelevant, slots are alike and nobody is told
		if !pc.hashing && !pc.spill && pc.state != inWrite {
			s.letGo(pc)
		}
	}
}

// advanceClose takes the next step of a torrent that is being closed, if it can.
func (s *Storage) advanceClose(c *actor.Ctx[Message], t *torrent) {
	if t.phase != closing || t.closing.last {
		return
	}
	if t.closing.drop || t.trouble.err != nil && !t.trouble.probe && !t.trouble.tried {
		s.dropPieces(t)
	}
	if s.busyPieces(t) {
		return
	}
	if !t.closing.spilt {
		t.closing.spilt = true
		s.spillAll(c, t)
		if s.busyPieces(t) {
			return
		}
	}
	if t.dirt.busy || t.ops.len() > 0 || t.opBusy {
		return
	}
	if !t.closing.drop && (t.dirt.bytes > 0 || len(t.dirt.wait) > 0 || len(t.dirt.lost) > 0) && t.trouble.err == nil {
		s.sync.due.add(t)
		return
	}
	s.dropPieces(t)
	t.closing.last = true
	s.operate(t, &op{fence: fenceAll, task: s.lastStep(t)})
}

// busyPieces reports whether pieces are on their way to the disk.
func (s *Storage) busyPieces(t *torrent) bool {
	for _, pc := range t.pieces { //order: irrelevant, any will do
		if pc.hashing || pc.spill || pc.state != filling || pc.full() {
			return true
		}
	}
	return t.using[writing] > 0 && !t.dirt.busy
}

// spillAll writes all partial pieces as they are.
func (s *Storage) spillAll(c *actor.Ctx[Message], t *torrent) {
	if t.closing.drop || t.trouble.err != nil {
		return
	}
	for _, p := range sortedPieces(t.pieces) {
		if pc := t.pieces[p]; pc.memory > 0 {
			s.spill(c, pc)
		}
	}
}

// lastStep is the job that ends the torrent's stay on the disk.
func (s *Storage) lastStep(t *torrent) task {
	return &closeTask{
		store: t.store, remove: t.closing.req.Delete, forget: t.closing.drop,
		clean: t.trouble.err == nil && t.dirt.bytes == 0 && len(t.trouble.doubt) == 0,
	}
}

// closed answers Close.
func (s *Storage) closed(t *torrent, k *closeTask) {
	err := k.err
	if err == nil && !t.closing.drop {
		err = t.trouble.err
	}
	t.refuseWaiting(ErrClosed)
	s.remove(t)
	t.tell(Closed{ID: t.id, Err: err})
}

// refuseWaiting answers who waits for a Sync or a Look.
func (t *torrent) refuseWaiting(err error) {
	for _, m := range append(t.dirt.wait, t.files.syncs...) {
		t.done(m.Cookie, err)
	}
	for _, m := range t.files.looks {
		t.done(m.Cookie, err)
	}
}

// abandon releases all that a torrent holds and answers whoever waits, because
// the actor ends. Jobs under way release theirs when they come back.
func (s *Storage) abandon(t *torrent, err error) {
	for t.readq.len() > 0 {
		s.refuse(t.readq.pop(), err)
	}
	for t.sums.len() > 0 {
		t.sums.pop().drop()
	}
	for _, pc := range t.pieces { //order: irrelevant, slots are alike
		if !pc.hashing && !pc.spill && pc.state != inWrite {
			pc.release()
		}
	}
	t.refuseWaiting(err)
	if t.verify.active {
		t.tell(CheckDone{ID: t.id, Have: t.haveCopy(), Hashed: t.verify.hashed, Err: err})
	}
	switch t.phase {
	case opening:
		t.tell(Opened{ID: t.id, Err: err})
	case closing:
		t.tell(Closed{ID: t.id, Err: err})
	}
}
