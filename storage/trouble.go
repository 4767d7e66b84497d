package storage

import (
	"errors"
	"io"
	"slices"

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
	tr.missing = tr.missing || absent(err) || errors.Is(err, ErrMissing) || errors.Is(err, ErrReplaced) || errors.Is(err, errShort)
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
		s.heal(t)
	case t.writeq.len() == 0:
		s.hope(c, t)
	default:
		t.trouble.probe = true
		s.lanes.write.add(t)
	}
}

// heal asks whether all files are there in which something is stored, and takes them
// as they are.
func (s *Storage) heal(t *torrent) {
	k := &lookTask{store: t.store, heal: true}
	for i := range int32(len(t.lay.files)) {
		if t.lay.hasData(i) && t.facts.placed.Has(i) && t.storesIn(i) {
			k.files = append(k.files, span{file: i})
		}
	}
	s.operate(t, &op{fence: fenceAll, task: k})
}

// storesIn reports whether a file has bytes of pieces that we have.
func (t *torrent) storesIn(i int32) bool {
	first, last := t.lay.piecesOf(i)
	return anyIn(&t.have, first, last)
}

// onLook asks whether all is where it should be, before somebody relies on it.
func (s *Storage) onLook(t *torrent, m Look) {
	if t.files.finishing > 0 {
		t.files.looks = append(t.files.looks, m)
		return
	}
	s.operate(t, &op{task: &lookTask{store: t.store, cookie: m.Cookie, answer: true}})
}

// looked goes on if the files are there. What has become of those that are not what
// they were, only hashing can tell.
func (s *Storage) looked(c *actor.Ctx[Message], t *torrent, k *lookTask) {
	if k.answer {
		defer func() { t.done(k.cookie, k.err) }()
	}
	t.trouble.looking = t.trouble.looking && (k.answer || k.heal)
	switch {
	case t.phase != open:
	case k.err != nil:
		s.inTrouble(c, t, k.err)
	case k.heal && t.trouble.err != nil:
		t.trouble.missing = false
		for _, f := range k.ill {
			s.distrust(t, f.file, f.n)
		}
		s.hope(c, t)
	}
}

// distrust takes a file for what it is now: what it is too short for is lost, all else
// in it has to be hashed.
func (s *Storage) distrust(t *torrent, i int32, size int64) {
	first, last := t.lay.piecesOf(i)
	var doubt []int32
	for p := int32(first); p <= int32(last); p++ {
		if !t.have.Has(p) {
			continue
		}
		end := min(t.lay.PieceOffset(metainfo.PieceIndex(p))+t.lay.PieceSize(metainfo.PieceIndex(p)), t.lay.end(int(i)))
		if end > t.lay.files[i].Offset+size {
			s.losePiece(t, metainfo.PieceIndex(p))
			t.trouble.lose(t, p)
		} else if !slices.Contains(t.trouble.doubt, p) {
			doubt = append(doubt, p)
		}
	}
	s.doubt(t, doubt)
}

// doubt records that pieces have to be hashed before they can be trusted again.
func (s *Storage) doubt(t *torrent, pieces []int32) {
	if len(pieces) == 0 {
		return
	}
	t.trouble.doubt = append(t.trouble.doubt, pieces...)
	for _, p := range pieces {
		t.facts.doubt(p)
	}
	s.operate(t, &op{task: &stateTask{store: t.store, record: appendPieces(nil, recDoubt, "", pieces)}})
}

// lose notes a piece that the torrent is to hear of.
func (tr *troubleState) lose(t *torrent, p int32) {
	if tr.lost == nil {
		lost := bits.New(t.lay.Pieces())
		tr.lost = &lost
	}
	tr.lost.Set(p)
}

// suspicious looks after the files when a read has failed in a way that says that
// they are gone or cut short.
func (s *Storage) suspicious(t *torrent, err error) {
	if t.phase != open || t.trouble.err != nil || t.trouble.looking || !absent(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	t.trouble.looking = true
	s.operate(t, &op{task: &lookTask{store: t.store}})
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
			t.trouble.lose(t, int32(vp.index))
		}
	}
	if k.err != nil {
		s.inTrouble(c, t, k.err)
		return
	}
	s.outOfTrouble(c, t)
}
