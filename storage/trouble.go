package storage

import (
	"errors"
	"io"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

// retryTick is the next attempt to write after a failure.
type retryTick struct{ id ID }

func (retryTick) storageMsg() {}

// inTrouble notes that the disk failed and sets the time of the next attempt.
func (s *Storage) inTrouble(c *actor.Ctx[Message], t *torrent, err error) {
	tr := &t.trouble
	tr.missing = tr.missing || absent(err) || errors.Is(err, ErrMissing)
	if tr.err == nil || rootCause(tr.err) != rootCause(err) {
		t.tell(Trouble{ID: t.id, Err: err, Space: isSpace(err), Missing: tr.missing})
	}
	tr.err = err
	if tr.timer != (actor.Timer{}) {
		return
	}
	tr.pause = min(max(2*tr.pause, retryFirst), retryMost)
	tr.timer = c.After(tr.pause, retryTick{t.id})
}

// rootCause is what is wrong, whichever file it showed at.
func rootCause(err error) string {
	if e := (*Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return cause(err).Error()
}

// onRetryTick lets one write through, to see whether the disk is well again, after
// a look whether the files are there if they were not.
func (s *Storage) onRetryTick(c *actor.Ctx[Message], m retryTick) {
	t := s.torrents[m.id]
	if t == nil || t.trouble.err == nil {
		return
	}
	t.trouble.timer = actor.Timer{}
	switch {
	case t.trouble.missing:
		s.look(t)
	case t.writeq.len() == 0:
		s.hope(c, t)
	default:
		t.trouble.probe = true
		s.lanes.write.add(t)
	}
}

// look asks whether all files are there in which something is stored.
func (s *Storage) look(t *torrent) {
	k := &lookTask{store: t.store}
	for i := range int32(len(t.lay.files)) {
		if t.lay.hasData(i) && t.facts.placed.Has(i) {
			if n := t.storedIn(i); n > 0 {
				k.files = append(k.files, span{file: i, n: n})
			}
		}
	}
	s.operate(t, &op{fence: fenceAll, task: k})
}

// storedIn is how long a file must be for what is known of it.
func (t *torrent) storedIn(i int32) (n int64) {
	first, last := t.lay.piecesOf(i)
	for p := int32(last); p >= int32(first); p-- {
		if t.have.Has(p) {
			end := t.lay.PieceOffset(metainfo.PieceIndex(p)) + t.lay.PieceSize(metainfo.PieceIndex(p))
			return min(end, t.lay.end(int(i))) - t.lay.files[i].Offset
		}
	}
	return 0
}

// looked goes on if the files are there.
func (s *Storage) looked(c *actor.Ctx[Message], t *torrent, k *lookTask) {
	t.trouble.looking = false
	switch {
	case t.phase != open:
	case k.err != nil:
		s.inTrouble(c, t, k.err)
	case t.trouble.err != nil:
		t.trouble.missing = false
		s.hope(c, t)
	}
}

// suspicious looks after the files when a read has failed in a way that says that
// they are gone or cut short.
func (s *Storage) suspicious(t *torrent, err error) {
	if t.phase != open || t.trouble.err != nil || t.trouble.looking || !absent(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	t.trouble.looking = true
	s.look(t)
}

// hope ends the trouble of a torrent that has nothing left to try with: its next
// piece will show. The pause stays as long as it has grown.
func (s *Storage) hope(c *actor.Ctx[Message], t *torrent) {
	pause := t.trouble.pause
	s.outOfTrouble(c, t)
	t.trouble.pause = pause
}

// outOfTrouble goes on after an attempt that went well.
func (s *Storage) outOfTrouble(c *actor.Ctx[Message], t *torrent) {
	if s.doubtful(t) {
		return
	}
	c.Cancel(t.trouble.timer)
	lost := t.trouble.lost
	t.trouble = troubleState{kept: t.trouble.kept}
	t.tell(Trouble{ID: t.id, Lost: lost})
	s.lanes.write.add(t)
	s.sync.dirty.add(t)
	s.finishAgain(t)
}

// isSpace reports whether an error says that the disk is full.
func isSpace(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Space()
}

// doubtful looks after pieces that a failed sync was to make durable, before all is
// said to be well: the system may have dropped what it could not write, and the
// next sync would not tell. They are read, and written again if they are good.
func (s *Storage) doubtful(t *torrent) bool {
	d := t.trouble.doubt
	if len(d) == 0 || t.phase != open {
		return false
	}
	k := &rewriteTask{store: t.store}
	for n := int64(0); len(d) > 0 && n < copyBytes; d = d[1:] {
		want, _ := t.info.PieceHash(metainfo.PieceIndex(d[0]))
		k.pieces = append(k.pieces, verifyPiece{index: metainfo.PieceIndex(d[0]), want: want})
		n += t.lay.PieceSize(metainfo.PieceIndex(d[0]))
	}
	t.trouble.doubt = d
	s.operate(t, &op{fence: fenceWrite, task: k})
	return true
}

// rewritten takes back pieces that were doubtful.
func (s *Storage) rewritten(c *actor.Ctx[Message], t *torrent, k *rewriteTask) {
	for i := range k.pieces {
		switch vp := &k.pieces[i]; {
		case k.err != nil && !vp.done:
			t.trouble.doubt = append(t.trouble.doubt, int32(vp.index))
		case vp.ok:
			t.facts.addWritten(int32(vp.index))
			s.soil(t, vp.index)
		case t.have.Has(int32(vp.index)):
			s.losePiece(t, vp.index)
			if t.trouble.lost == nil {
				lost := bits.New(t.lay.Pieces())
				t.trouble.lost = &lost
			}
			t.trouble.lost.Set(int32(vp.index))
		}
	}
	if k.err != nil {
		s.inTrouble(c, t, k.err)
		return
	}
	s.outOfTrouble(c, t)
}
