package engine

import (
	"errors"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/storage"
)

// lookCookie is that of the Look before completion; all others count from 1.
const lookCookie = 0

// confirm has storage look whether what was written is where it should be, before the
// torrent says that it is complete.
func (t *torrent) confirm() {
	if t.disk.looking {
		return
	}
	t.disk.looking = true
	t.disk.window.Take(1)
	t.cfg.deps.Disk.Tell(storage.Look{ID: t.cfg.store, Cookie: lookCookie})
}

// onLooked says that the torrent is complete, unless something is missing after all:
// then storage is in trouble, and all is looked at again when that is over.
func (t *torrent) onLooked(c *actor.Ctx[torrentMsg], err error) {
	t.disk.looking = false
	switch {
	case err != nil:
		t.life.complete = false
	case !t.mayConnect():
		t.life.complete = false // paused meanwhile: it is told when that is over
	case t.life.complete:
		t.cfg.emit.Tell(Event{Kind: Completed, Hash: t.cfg.hash})
		t.save(c)
	}
}

// onTrouble: while the disk is in trouble nothing is asked for, and seeding goes on.
// Files that somebody else writes are no place for a torrent: it fails, until they are
// given up.
func (t *torrent) onTrouble(c *actor.Ctx[torrentMsg], a storage.Trouble) {
	t.disk.trouble, t.disk.space = a.Err, a.Space
	if a.Lost != nil {
		t.losePieces(c, a.Lost)
	}
	switch {
	case isTaken(a.Err) && !t.life.finishing:
		t.fail(c, a.Err)
		return
	case a.Err == nil && t.life.state == Failed && isTaken(t.life.err):
		t.reopen(c)
		return
	}
	t.cfg.emit.Tell(Event{Kind: DiskTrouble, Hash: t.cfg.hash, Err: a.Err, NoSpace: a.Space})
	if a.Err == nil {
		if t.mayConnect() && t.pieces.complete() != t.life.complete {
			t.settle(c)
		}
		t.feedEverybody()
	}
}

// isTaken reports whether the trouble is that others write the torrent's files.
func isTaken(err error) bool {
	return errors.Is(err, storage.ErrLocked) || errors.Is(err, storage.ErrShared)
}

// losePieces takes back pieces that were good and are not any more: they are fetched
// again, and peers that were told of them hear of it (BEP 54).
func (t *torrent) losePieces(c *actor.Ctx[torrentMsg], lost *bits.Set) {
	before := len(t.pieces.log)
	for i := range lost.All() {
		if t.pieces.have.Clear(i) {
			t.pieces.log = append(t.pieces.log, ^pieceIndex(i))
		}
	}
	if len(t.pieces.log) == before {
		return
	}
	t.recount()
	t.changedDeadlines(c)
	if t.mayConnect() {
		t.settle(c)
	}
}
