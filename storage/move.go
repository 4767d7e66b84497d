package storage

import (
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

// moveState is a torrent's move to another folder.
type moveState struct {
	active  bool
	cookie  uint64
	to      string
	copying bool     // to another device, while reads and writes go on
	dirty   bits.Set // pieces written since they may have been copied
	rounds  int      // in which dirty pieces were copied
}

// changed notes that a piece was written while payload is being copied.
func (m *moveState) changed(p metainfo.PieceIndex) {
	if m.copying {
		m.dirty.Set(int32(p))
	}
}

const (
	// copyBytes is how much of a copy is done in one job, so that others have a turn.
	copyBytes = 16 << 20
	// maxRounds bounds how often dirty pieces are copied while others are written;
	// then the rest is copied while writes wait.
	maxRounds = 4
)

// onMove moves the payload. On the same device its files are renamed. Otherwise they
// are copied while reads and writes go on; then what was written meanwhile is
// copied while all waits, and the copy takes the payload's place.
func (s *Storage) onMove(t *torrent, m Move) {
	switch {
	case t.opt.ReadOnly:
		t.done(m.Cookie, ErrReadOnly)
		return
	case t.move.active:
		t.done(m.Cookie, fmt.Errorf("storage: a move to %s is under way", t.move.to))
		return
	}
	t.move = moveState{active: true, cookie: m.Cookie, to: m.Dir}
	s.operate(t, &op{fence: fenceAll, task: &moveTask{store: t.store, to: m.Dir}})
}

// moved goes on with copying if renaming was not possible.
func (s *Storage) moved(t *torrent, k *moveTask) {
	t.logged += k.logged
	switch {
	case k.err != nil:
		s.endMove(t, k.err)
	case k.copier != nil:
		t.facts.moving = k.to
		t.move.to, t.move.copying = k.to, true
		t.move.dirty = bits.New(t.lay.Pieces())
		s.operate(t, &op{copying: true, task: &copyTask{store: t.store, copier: k.copier}})
	default:
		t.facts.from, t.facts.dir = t.facts.dir, k.to
		s.endMove(t, nil)
	}
}

// copied copies on, or ends the copying of a move or of one file.
func (s *Storage) copied(t *torrent, k *copyTask) {
	one := k.copier.only
	switch {
	case k.err != nil || t.phase == closing:
		s.operate(t, &op{fence: fenceAll, copying: true, task: &undoTask{store: t.store, copier: k.copier, cause: k.err}})
	case !k.done:
		s.operate(t, &op{copying: true, task: &copyTask{store: t.store, copier: k.copier}})
	case one < 0 && t.move.dirty.Count() > 0 && t.move.rounds < maxRounds && s.dirtyBytes(t) > copyBytes:
		t.move.rounds++
		k.copier.again = append(k.copier.again, t.takeDirty()...)
		s.operate(t, &op{copying: true, task: &copyTask{store: t.store, copier: k.copier}})
	default:
		w := &switchTask{store: t.store, copier: k.copier}
		s.operate(t, &op{fence: fenceAll, copying: true, task: w, ready: func() {
			k.copier.again = append(k.copier.again, t.takeDirty()...)
		}})
	}
}

func (s *Storage) dirtyBytes(t *torrent) int64 { return int64(t.move.dirty.Count()) * t.lay.PieceLen() }

// takeDirty returns the pieces that have to be copied again, as stretches of payload.
func (t *torrent) takeDirty() (out []stretch) {
	for p := range t.move.dirty.All() {
		i := metainfo.PieceIndex(p)
		out = append(out, stretch{t.lay.PieceOffset(i), t.lay.PieceSize(i)})
	}
	t.move.dirty.Reset()
	return out
}

// switched ends a copy: it is the payload now.
func (s *Storage) switched(c *actor.Ctx[Message], t *torrent, k *switchTask) {
	t.logged += k.logged
	if k.err != nil {
		s.operate(t, &op{fence: fenceAll, copying: true, task: &undoTask{store: t.store, copier: k.copier, cause: k.err}})
		return
	}
	if i := k.copier.only; i >= 0 {
		s.endFinish(c, t, i, nil)
		return
	}
	t.facts.from, t.facts.dir, t.facts.moving = t.facts.dir, t.move.to, ""
	s.endMove(t, nil)
}

// undone answers a move that failed: the payload is where it was.
func (s *Storage) undone(c *actor.Ctx[Message], t *torrent, k *undoTask) {
	err := k.cause
	if err == nil {
		err = ErrClosed
	}
	if i := k.copier.only; i >= 0 {
		s.endFinish(c, t, i, err)
		return
	}
	t.facts.moving = ""
	s.endMove(t, err)
	s.compact(t) // the state file may tell of the move
}

// endMove answers Move and does what has waited for its end.
func (s *Storage) endMove(t *torrent, err error) {
	t.done(t.move.cookie, err)
	t.move = moveState{}
	s.afterCopy(t)
}

// endFinish ends the copy of a complete file to its final place.
func (s *Storage) endFinish(c *actor.Ctx[Message], t *torrent, i int32, err error) {
	t.copies--
	if err == nil {
		t.tell(FileDone{ID: t.id, File: metainfo.FileIndex(i), Path: t.pathOf(i)})
		s.finishedOne(t)
	} else {
		s.notFinished(c, t, i, err)
	}
	s.afterCopy(t)
}

// stretch is a stretch of payload.
type stretch struct{ off, n int64 }

// moveTask renames a torrent's files into another folder.
type moveTask struct {
	control
	store *store
	to    string

	logged int64
	copier *copier // set if they have to be copied; only the folder has been made
	err    error
}

func (k *moveTask) kind() string { return "move" }

// copyTask copies some of what is left to be copied.
type copyTask struct {
	control
	store  *store
	copier *copier

	done bool
	err  error
}

func (k *copyTask) kind() string { return "copy" }
func (k *copyTask) bytes() int64 { return copyBytes }
func (k *copyTask) phantom(bool) { k.done = true }

// switchTask copies what was written meanwhile and puts the copy in the place of
// the original, which is removed.
type switchTask struct {
	control
	store  *store
	copier *copier

	logged int64
	err    error
}

func (k *switchTask) kind() string { return "switch" }

// undoTask removes what has been copied.
type undoTask struct {
	control
	store  *store
	copier *copier
	cause  error
}

func (k *undoTask) kind() string { return "undo" }
