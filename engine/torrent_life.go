package engine

import (
	"errors"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
)

// ErrClosed answers whoever asks a torrent or engine that has ended.
var ErrClosed = errors.New("torrent closed")

// life is a torrent's state and what is pending in it. Owner: the torrent.
//
//	Starting -> Checking -> Downloading <-> Seeding
//	              |  ^           |  ^
//	              v  |           v  |
//	            (recheck)       Paused        any -> Failed, any -> Stopping
type life struct {
	state     State
	err       error
	paused    bool // what the user wants, also while checking
	finishing bool
	closing   bool // storage has been asked to close
	finish    finish
	ended     bool
	fetched   bool // something was downloaded in this run, so "completed" is true
}

func (l *life) failAll(error) {}

func (t *torrent) setState(_ *actor.Ctx[torrentMsg], s State) {
	if t.life.state != s {
		t.life.state = s
		t.swarm.book.noSeed = s == Seeding
		t.choke.due = true
		t.cfg.emit.Tell(Event{Kind: StateChanged, Hash: t.cfg.meta.Hash, State: s, Err: t.life.err})
	}
}

// ready begins or resumes transfer after storage was opened or a check has ended.
func (t *torrent) ready(c *actor.Ctx[torrentMsg]) {
	t.count.done = t.countDone()
	t.reader.all(t.pieces)
	switch {
	case t.life.paused || t.cfg.paused:
		t.cfg.paused, t.life.paused = false, true
		t.setState(c, Paused)
		return
	case t.pieces.missing == 0:
		t.setState(c, Seeding)
		t.cfg.emit.Tell(Event{Kind: Completed, Hash: t.cfg.meta.Hash})
	case t.cfg.seedOnly: // what is there is served; Stats says how much that is
		t.setState(c, Seeding)
	default:
		t.setState(c, Downloading)
	}
	t.swarm.nextDial = c.Now()
	t.pick.rebuild = true
	if !t.news.started {
		t.startAnnouncing(c)
	}
	for _, p := range t.swarm.list {
		t.feed(p)
	}
	t.after(c, saveEvery, tickSave)
}

// completed: the last wanted piece is verified and written.
func (t *torrent) completed(c *actor.Ctx[torrentMsg]) {
	t.setState(c, Seeding)
	t.cfg.emit.Tell(Event{Kind: Completed, Hash: t.cfg.meta.Hash})
	if t.pieces.have.Full() {
		t.tellAnnouncer(tracker.Complete{Facts: t.facts()})
		t.dropSeeds()
	}
	t.save(c)
}

// fail puts the torrent into an errored state: nothing is transferred.
func (t *torrent) fail(c *actor.Ctx[torrentMsg], err error) {
	t.life.err = err
	t.setState(c, Failed)
	t.dropAll(err)
	t.cfg.emit.Tell(Event{Kind: TorrentFailed, Hash: t.cfg.meta.Hash, Err: err})
	t.reader.failAll(err)
	if t.life.finishing {
		t.proceedFinish(c)
	}
}

func (t *torrent) onPause(c *actor.Ctx[torrentMsg], m pause) {
	t.life.paused = true
	if t.mayConnect() {
		t.setState(c, Paused)
		t.dropAll(errPaused)
		t.tellAnnouncer(tracker.Finish{Facts: t.facts(), Limit: pauseAnnounce})
		t.news.started = false
		t.save(c)
	}
	m.reply.Tell(nil)
}

func (t *torrent) onResume(c *actor.Ctx[torrentMsg], m resume) {
	t.life.paused = false
	switch t.life.state {
	case Paused:
		t.ready(c)
	case Failed: // try again from the start
		t.life.err = nil
		if !t.disk.open && !t.disk.opening {
			t.setState(c, Starting)
			t.openStorage()
		} else {
			t.ready(c)
		}
	}
	m.reply.Tell(nil)
}

// onFinish ends the torrent in good order: first the trackers are told and storage
// closes, both at once; then it quits.
func (t *torrent) onFinish(c *actor.Ctx[torrentMsg], m finish) {
	if t.life.finishing {
		return
	}
	t.life.finishing, t.life.finish = true, m
	t.dropAll(ErrClosed)
	if t.news.started {
		t.tellAnnouncer(tracker.Finish{Facts: t.facts(), Limit: m.limit})
	} else {
		t.news.finished = true
	}
	if t.life.state != Failed {
		t.setState(c, Stopping)
	}
	t.proceedFinish(c)
}

// proceedFinish takes the next step of ending, as answers come in.
func (t *torrent) proceedFinish(c *actor.Ctx[torrentMsg]) {
	if !t.life.finishing || t.disk.opening {
		return
	}
	if t.disk.open && !t.life.closing {
		t.life.closing = true
		t.save(c)
		t.disk.send(t.cfg.deps.Disk)
		t.cfg.deps.Disk.Tell(storage.Close{ID: t.cfg.store, Delete: t.life.finish.data, Forget: t.life.finish.remove})
		t.disk.window.Take(1)
	}
	t.maybeEnd(c)
}

func (t *torrent) onStorageClosed(c *actor.Ctx[torrentMsg], a storage.Closed) {
	t.disk.window.Give(1)
	t.disk.open = false
	if a.Err != nil && t.life.err == nil {
		t.life.err = a.Err
	}
	t.maybeEnd(c)
}

// maybeEnd quits when nothing is left to wait for.
func (t *torrent) maybeEnd(c *actor.Ctx[torrentMsg]) {
	done := t.life.finishing && !t.disk.open && !t.disk.opening &&
		(t.news.finished || t.news.child.IsZero()) && len(t.swarm.list) == 0
	if done && !t.life.ended {
		t.life.ended = true
		c.Quit(t.life.err)
	}
}
