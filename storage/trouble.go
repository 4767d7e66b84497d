package storage

import (
	"errors"

	"github.com/shoal-bt/shoal/actor"
)

// retryTick is the next attempt to write after a failure.
type retryTick struct{ id ID }

func (retryTick) storageMsg() {}

// inTrouble notes that the disk failed and sets the time of the next attempt.
func (s *Storage) inTrouble(c *actor.Ctx[Message], t *torrent, err error) {
	tr := &t.trouble
	if tr.err == nil || tr.err.Error() != err.Error() {
		t.tell(Trouble{ID: t.id, Err: err, Space: isSpace(err)})
	}
	tr.err = err
	if tr.timer != (actor.Timer{}) {
		return
	}
	tr.pause = min(max(2*tr.pause, retryFirst), retryMost)
	tr.timer = c.After(tr.pause, retryTick{t.id})
}

// onRetryTick lets one write through, to see whether the disk is well again.
func (s *Storage) onRetryTick(c *actor.Ctx[Message], m retryTick) {
	t := s.torrents[m.id]
	if t == nil || t.trouble.err == nil {
		return
	}
	t.trouble.timer = actor.Timer{}
	if t.writeq.len() == 0 {
		s.hope(c, t)
		return
	}
	t.trouble.probe = true
	s.lanes.write.add(t)
}

// hope ends the trouble of a torrent that has nothing left to try with: its next
// piece will show. The pause stays as long as it has grown.
func (s *Storage) hope(c *actor.Ctx[Message], t *torrent) {
	pause := t.trouble.pause
	s.outOfTrouble(c, t)
	t.trouble.pause = pause
}

// outOfTrouble goes on after a write that went well.
func (s *Storage) outOfTrouble(c *actor.Ctx[Message], t *torrent) {
	c.Cancel(t.trouble.timer)
	t.trouble = troubleState{kept: t.trouble.kept}
	t.tell(Trouble{ID: t.id})
	s.lanes.write.add(t)
	s.sync.dirty.add(t)
	s.finishAgain(t)
}

// isSpace reports whether an error says that the disk is full.
func isSpace(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Space()
}
