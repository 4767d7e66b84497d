package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
)

// onSetPriorities changes which files are wanted and how much. What was asked of
// pieces that are not wanted any more is cancelled.
func (t *torrent) onSetPriorities(c *actor.Ctx[torrentMsg], m setPriorities) {
	switch {
	case !t.known():
		m.reply.Tell(ErrNoMetadata)
		return
	case len(m.file) != len(t.cfg.meta.Files):
		m.reply.Tell(fmt.Errorf("%d priorities for %d files", len(m.file), len(t.cfg.meta.Files)))
		return
	case !t.disk.open || t.life.closing:
		m.reply.Tell(ErrBusy)
		return
	}
	t.selectFiles(c, slices.Clone(m.file), m.reply)
}

// selectFiles makes a selection the torrent's, at once.
func (t *torrent) selectFiles(c *actor.Ctx[torrentMsg], prio []uint8, reply actor.Ref[error]) {
	t.cfg.options.Priority = prio
	t.tellSelection(reply)
	t.applyPriorities()
	t.recount()
	for _, a := range t.pieces.open {
		if !t.pieces.wants(a.piece) && !a.hashing() {
			t.withdraw(a)
		}
	}
	if t.mayConnect() {
		t.settle(c)
	}
	t.feedEverybody()
}

// onAlsoSelect wants more files. Before the metadata is there they join the link's own.
func (t *torrent) onAlsoSelect(c *actor.Ctx[torrentMsg], m alsoSelect) {
	switch {
	case !t.known():
		if t.cfg.magnet != nil && len(t.cfg.magnet.Select) > 0 { // otherwise all are wanted
			both := *t.cfg.magnet
			both.Select = slices.Concat(both.Select, m.ranges)
			t.cfg.magnet = &both
		}
	case t.cfg.options.Priority != nil && t.disk.open && !t.life.closing:
		t.selectFiles(c, t.selection(m.ranges, slices.Clone(t.cfg.options.Priority)), actor.Ref[error]{})
	}
}

// tellSelection tells storage which files are wanted.
func (t *torrent) tellSelection(reply actor.Ref[error]) {
	t.request(reply, nil, func(k uint64) storage.Message {
		return storage.Select{ID: t.cfg.store, Priority: t.cfg.options.Priority, Cookie: k}
	})
}

// applyPriorities derives the pieces' priorities from the files': a piece is as
// urgent as the most urgent file in it. What Readers wait for stays wanted.
func (t *torrent) applyPriorities() {
	prio := t.cfg.options.Priority
	for i := range t.pieces.prio {
		t.pieces.prio[i] = normalPriority
	}
	if prio != nil {
		clear(t.pieces.prio)
		for i := range t.cfg.meta.Files {
			t.raisePriority(&t.cfg.meta.Files[i], min(prio[i], maxPriority))
		}
	}
	clear(t.pieces.lent)
	for i := range t.pieces.deadline { //order: irrelevant
		t.pieces.lend(i)
	}
}

// maxPriority of a file or piece; higher ones mean the same.
const maxPriority = 7

func (t *torrent) raisePriority(f *metainfo.File, prio uint8) {
	if f.Length == 0 || f.Pad() {
		return
	}
	first, last := t.pieces.l.PiecesOf(f.Offset, f.Length)
	for p := first; p <= last; p++ {
		t.pieces.prio[p] = max(t.pieces.prio[p], prio)
	}
}

// recount counts anew all that depends on what we have and want.
func (t *torrent) recount() {
	t.pieces.recount()
	t.count.done = t.countDone()
	for _, p := range t.swarm.list {
		if p.has != nil {
			p.wants = t.countWants(p.has)
		}
	}
	t.pick.rebuild = true
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
		t.choke.strategy, t.choke.due, t.choke.round, t.cfg.choker = s, true, 0, m.choker
	}
	t.feedAll()
	m.reply.Tell(nil)
}

// onRecheck hashes everything on disk again; transfer rests meanwhile. Of a torrent
// whose files have disappeared it takes what is there now for the truth.
func (t *torrent) onRecheck(c *actor.Ctx[torrentMsg], m recheck) {
	switch {
	case t.life.finishing:
		m.reply.Tell(ErrClosed)
	case !t.known():
		m.reply.Tell(ErrNoMetadata)
	case t.disk.check.running:
		t.disk.checks = append(t.disk.checks, m.reply)
	case t.disk.opening:
		m.reply.Tell(ErrBusy)
	case !t.disk.open:
		t.disk.checks = append(t.disk.checks, m.reply)
		t.cfg.options.Check = true
		t.reopen(c)
	default:
		t.dropAll(errChecking)
		t.life.err = nil
		t.startCheck(c, nil, m.reply)
	}
}

var errChecking = errors.New("torrent is being checked")

func (t *torrent) onReannounce(m reannounce) {
	if !t.news.started {
		m.reply.Tell(ErrPaused)
		return
	}
	t.tellAnnouncer(tracker.Now{Facts: t.facts()})
	m.reply.Tell(nil)
}

// ErrPaused answers what a torrent does only while it is at work.
var ErrPaused = errors.New("torrent is not running")

func (t *torrent) onAddTrackers(m addTrackers) {
	t.addExtra(m.urls)
	if t.news.started {
		t.tellAnnouncer(tracker.Add{URLs: m.urls, Origin: tracker.FromUser})
	}
	m.reply.Tell(nil)
}

// addExtra remembers trackers that the torrent file does not name.
func (t *torrent) addExtra(urls []string) {
	for _, u := range urls {
		if len(t.cfg.extra) < tracker.MaxTrackers && !slices.Contains(t.cfg.extra, u) {
			t.cfg.extra = append(t.cfg.extra, u)
		}
	}
}

func (t *torrent) onMove(m move) {
	if !t.known() { // nothing is there that would have to be moved
		t.cfg.dir = m.dir
		m.reply.Tell(nil)
		return
	}
	t.request(m.reply, func() { t.cfg.dir = m.dir }, func(k uint64) storage.Message {
		return storage.Move{ID: t.cfg.store, Dir: m.dir, Cookie: k}
	})
}

func (t *torrent) onRename(m rename) {
	if !t.known() {
		m.reply.Tell(ErrNoMetadata)
		return
	}
	t.request(m.reply, func() { t.noteRenamed(m.file, m.path) }, func(k uint64) storage.Message {
		return storage.Rename{ID: t.cfg.store, File: m.file, Path: m.path, Cookie: k}
	})
}

// noteRenamed remembers the path that a file has now. The map is storage's too, so it
// is never changed.
func (t *torrent) noteRenamed(i metainfo.FileIndex, path string) {
	renamed := map[metainfo.FileIndex]string{i: path}
	for k, v := range t.cfg.options.Renamed { //order: irrelevant
		if k != i {
			renamed[k] = v
		}
	}
	t.cfg.options.Renamed = renamed
}

func (t *torrent) onSync(m syncAll) {
	t.request(m.reply, nil, func(k uint64) storage.Message { return storage.Sync{ID: t.cfg.store, Cookie: k} })
}

// onLimitPeer limits one connection.
func (t *torrent) onLimitPeer(c *actor.Ctx[torrentMsg], m limitPeer) {
	for _, p := range t.swarm.list {
		if p.live && !p.gone && p.addr == m.addr {
			t.cfg.governor.Tell(setLimits{torrent: c.ID(), peer: p.child.Ref.ID(), limits: m.limits})
			m.reply.Tell(nil)
			return
		}
	}
	m.reply.Tell(fmt.Errorf("%v: %w", m.addr, ErrNoPeer))
}

// ErrNoPeer answers what concerns a connection that there is not.
var ErrNoPeer = errors.New("not connected")
