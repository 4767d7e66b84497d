package engine

import (
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
)

// onSetPriorities changes which files are wanted and how much.
func (t *torrent) onSetPriorities(c *actor.Ctx[torrentMsg], m setPriorities) {
	if len(m.file) != len(t.cfg.meta.Files) {
		m.reply.Tell(fmt.Errorf("%d priorities for %d files", len(m.file), len(t.cfg.meta.Files)))
		return
	}
	t.cfg.options.Priority = append([]uint8(nil), m.file...)
	t.applyPriorities()
	t.request(m.reply, func(k uint64) storage.Message {
		return storage.Select{ID: t.cfg.store, Priority: t.cfg.options.Priority, Cookie: k}
	})
	t.count.done = t.countDone()
	switch {
	case t.life.state == Downloading && t.pieces.missing == 0, t.life.state == Seeding && t.pieces.missing > 0:
		t.ready(c)
	}
	t.feedAll()
}

// applyPriorities derives the pieces' priorities from the files': a piece is as
// urgent as the most urgent file in it.
func (t *torrent) applyPriorities() {
	prio := t.cfg.options.Priority
	for i := range t.pieces.prio {
		t.pieces.prio[i] = normalPriority
	}
	if prio != nil {
		clear(t.pieces.prio)
		for i := range t.cfg.meta.Files {
			f := &t.cfg.meta.Files[i]
			if f.Length == 0 || f.Pad() {
				continue
			}
			first, last := t.pieces.l.PiecesOf(f.Offset, f.Length)
			for p := first; p <= last; p++ {
				t.pieces.prio[p] = max(t.pieces.prio[p], min(prio[i], 7))
			}
		}
	}
	t.pieces.recount()
	t.recountWants()
	t.pick.rebuild = true
}

// recountWants counts anew what each peer has that we want.
func (t *torrent) recountWants() {
	for _, p := range t.swarm.list {
		if p.has != nil {
			p.wants = t.countWants(p.has)
		}
	}
}

// onSetStrategy switches picker or choker while running: their state is rebuilt from
// the torrent's own facts.
func (t *torrent) onSetStrategy(_ *actor.Ctx[torrentMsg], m setStrategy) {
	if m.picker != "" {
		s, err := picker.New(m.picker)
		if err != nil {
			m.reply.Tell(err)
			return
		}
		t.pick.strategy, t.pick.rebuild, t.cfg.picker = s, true, m.picker
	}
	if m.choker != "" {
		s, err := choker.New(m.choker)
		if err != nil {
			m.reply.Tell(err)
			return
		}
		t.choke.strategy, t.choke.due, t.cfg.choker = s, true, m.choker
	}
	t.feedAll()
	m.reply.Tell(nil)
}

// onRecheck hashes everything on disk again; transfer rests meanwhile.
func (t *torrent) onRecheck(c *actor.Ctx[torrentMsg], m recheck) {
	switch {
	case t.disk.check.running:
		t.disk.checks = append(t.disk.checks, m.reply)
	case !t.disk.open || t.life.finishing:
		m.reply.Tell(ErrBusy)
	default:
		t.dropAll(errChecking)
		t.life.err = nil
		t.startCheck(c, nil, m.reply)
	}
}

var errChecking = fmt.Errorf("torrent is being checked")

func (t *torrent) onReannounce(m reannounce) {
	t.tellAnnouncer(tracker.Now{Facts: t.facts()})
	m.reply.Tell(nil)
}

func (t *torrent) onAddTrackers(m addTrackers) {
	t.cfg.extra = append(t.cfg.extra, m.urls...)
	t.tellAnnouncer(tracker.Add{URLs: m.urls})
	m.reply.Tell(nil)
}

func (t *torrent) onMove(m move) {
	t.request(m.reply, func(k uint64) storage.Message { return storage.Move{ID: t.cfg.store, Dir: m.dir, Cookie: k} })
}

func (t *torrent) onRename(m rename) {
	t.request(m.reply, func(k uint64) storage.Message {
		return storage.Rename{ID: t.cfg.store, File: m.file, Path: m.path, Cookie: k}
	})
}

func (t *torrent) onSync(m syncAll) {
	t.request(m.reply, func(k uint64) storage.Message { return storage.Sync{ID: t.cfg.store, Cookie: k} })
}
