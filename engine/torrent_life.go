package engine

import (
	"errors"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/storage"
)

// ErrClosed answers whoever asks a torrent or engine that has ended.
var ErrClosed = errors.New("torrent closed")

// life is a torrent's state and what is pending in it. Owner: the torrent.
//
//	FetchingMetadata, of a link -> Starting
//	Starting -> Checking -> Downloading <-> Seeding
//	              |  ^           |  ^
//	              v  |           v  |
//	            (recheck)       Paused        any -> Failed, any -> Stopping
type life struct {
	state     State
	err       error // why it is Failed
	paused    bool  // what the user wants, also while opening and checking
	complete  bool  // Completed has been told or will be after a look, and nothing is missing since
	finishing bool
	finish    finish
	closing   bool  // storage has been asked to close
	closeErr  error // what went wrong then
	ended     bool
}

func (t *torrent) setState(s State) {
	if t.life.state != s {
		t.life.state = s
		t.choke.due = true
		t.cfg.emit.Tell(Event{Kind: StateChanged, Hash: t.cfg.hash, State: s, Err: t.life.err})
	}
}

// ready begins or resumes transfer after storage was opened or a check has ended.
func (t *torrent) ready(c *actor.Ctx[torrentMsg]) {
	t.count.done = t.countDone()
	t.reader.all(t.pieces)
	t.tellEarlyPeers()
	t.pick.rebuild = true
	if t.life.paused {
		t.setState(Paused)
		return
	}
	t.settle(c)
	if !t.news.started {
		t.startAnnouncing(c)
	}
	t.feedEverybody()
	t.after(c, saveEvery, tickSave)
}

// settle moves between Downloading and Seeding, as what is missing demands. A torrent
// that only seeds serves what is there; Stats says how much that is.
func (t *torrent) settle(c *actor.Ctx[torrentMsg]) {
	complete := t.pieces.complete()
	if complete || t.cfg.seedOnly {
		t.setState(Seeding)
	} else {
		t.setState(Downloading)
	}
	fresh := complete && !t.life.complete
	t.life.complete = complete
	if fresh {
		t.confirm()
	}
	if alone := t.needsNobody(); alone != t.swarm.book.noSeed {
		t.swarm.book.noSeed = alone
		t.swarm.book.wakeSeeds(c.Now())
	}
	t.swarm.nextDial = c.Now()
	t.dropSeeds()
}

// needsNobody reports whether seeds are of no use. To a Reader they are, even if what
// it wants at present is there: it will want what follows.
func (t *torrent) needsNobody() bool {
	return t.life.state == Seeding && (t.cfg.seedOnly || t.pieces.have.Full() || t.pieces.missing == 0 && len(t.reader.byReader) == 0)
}

// feedEverybody lets all peers look for work.
func (t *torrent) feedEverybody() {
	for _, p := range t.swarm.list {
		if !p.gone {
			t.feed(p)
		}
	}
}

// fail puts the torrent into an errored state: nothing is transferred.
func (t *torrent) fail(c *actor.Ctx[torrentMsg], err error) {
	told := t.life.state == Failed && t.life.err != nil && t.life.err.Error() == err.Error()
	t.life.err = err
	t.setState(Failed)
	t.dropAll(err)
	t.stopAnnouncing(pauseAnnounce)
	t.reader.failAll(err)
	t.answerWaiters(gotMetadata{err: err})
	t.disk.failChecks(err)
	if !told {
		t.cfg.emit.Tell(Event{Kind: TorrentFailed, Hash: t.cfg.hash, Err: err})
	}
	if errors.Is(err, storage.ErrMissing) && !t.life.finishing {
		t.after(c, missingEvery, tickOpen)
	}
}

func (t *torrent) onPause(c *actor.Ctx[torrentMsg], m pause) {
	t.life.paused = true
	if t.mayConnect() {
		t.setState(Paused)
		t.dropAll(errPaused)
		t.stopAnnouncing(pauseAnnounce)
		t.save(c)
	}
	m.reply.Tell(nil)
}

// onResume takes transfer up again; after a failure it tries again from the start.
func (t *torrent) onResume(c *actor.Ctx[torrentMsg], m resume) {
	t.life.paused = false
	switch t.life.state {
	case Paused:
		if !t.known() {
			t.startFetching(c)
			break
		}
		t.ready(c)
	case Failed:
		t.reopen(c)
	}
	m.reply.Tell(nil)
}

// reopen tries again after a failure.
func (t *torrent) reopen(c *actor.Ctx[torrentMsg]) {
	if t.fetch.err != nil {
		t.fail(c, t.fetch.err) // it would come to the same
		return
	}
	t.life.err = nil
	switch {
	case !t.known():
		t.startFetching(c)
	case t.disk.opening: // under way
	case t.disk.check.failed:
		t.startCheck(c, t.disk.check.which, actor.Ref[error]{})
	case t.disk.open:
		t.ready(c)
	default:
		t.setState(Starting)
		t.openStorage()
	}
}

// onFinish ends the torrent in good order: first the trackers are told and storage
// closes, both at once; then it quits. A second one can only ask for more.
func (t *torrent) onFinish(c *actor.Ctx[torrentMsg], m finish) {
	f := &t.life.finish
	f.remove, f.data = f.remove || m.remove, f.data || m.data
	if t.life.finishing {
		return
	}
	t.life.finishing = true
	f.limit = m.limit
	if f.remove {
		t.keepInfo(nil)
	}
	t.dropAll(ErrClosed)
	t.reader.failAll(ErrClosed)
	t.answerWaiters(gotMetadata{err: ErrClosed})
	t.stopAnnouncing(f.limit)
	t.after(c, max(f.limit, 0), tickFarewell)
	if t.life.state != Failed {
		t.setState(Stopping)
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
	t.life.closeErr = a.Err
	t.maybeEnd(c)
}

// maybeEnd quits when nothing is left to wait for.
func (t *torrent) maybeEnd(c *actor.Ctx[torrentMsg]) {
	done := t.life.finishing && !t.disk.open && !t.disk.opening && t.news.ending == 0 && len(t.swarm.list) == 0
	if done && !t.life.ended {
		t.life.ended = true
		c.Quit(t.life.closeErr)
	}
}
