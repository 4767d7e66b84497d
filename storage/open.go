package storage

import (
	"errors"
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

// booted begins to open torrents, now that the state folder is there.
func (s *Storage) booted(c *actor.Ctx[Message], k *bootTask) {
	s.boot.done, s.boot.err, s.boot.id = true, k.err, k.boot
	wait := s.boot.wait
	s.boot.wait = nil
	s.again(c, wait)
}

// onOpen begins a torrent's stay.
func (s *Storage) onOpen(c *actor.Ctx[Message], m Open) {
	key := m.Info.Hash.String()
	if err := s.mayOpen(m, key); err != nil {
		m.Reply.Tell(Opened{ID: m.ID, Err: err})
		return
	}
	t := &torrent{
		id: m.ID, key: key, info: m.Info, lay: newLayout(m.Info), opt: m.Options, reply: m.Reply,
		pieces: map[metainfo.PieceIndex]*piece{},
	}
	s.torrents[m.ID], s.keys[key] = t, m.ID
	s.operate(t, &op{task: &openTask{key: key, lay: t.lay, dir: m.Dir, opt: m.Options}})
}

// mayOpen says why a torrent can't be opened.
func (s *Storage) mayOpen(m Open, key string) error {
	switch {
	case s.boot.err != nil:
		return s.boot.err
	case s.torrents[m.ID] != nil:
		return fmt.Errorf("storage: torrent %d is open already", m.ID)
	case !m.Info.Hash.HasV1:
		return errors.New("storage: pieces of v2 torrents can't be verified yet")
	}
	if id, ok := s.keys[key]; ok {
		return fmt.Errorf("storage: the same torrent is open as %d", id)
	}
	return nil
}

// opened answers Open and does what has been asked meanwhile.
func (s *Storage) opened(c *actor.Ctx[Message], t *torrent, k *openTask) {
	t.opBusy = false
	if k.err != nil {
		s.remove(t)
		t.tell(Opened{ID: t.id, Err: k.err})
		s.dropEarly(t.early)
		return
	}
	t.store, t.facts, t.logged = k.store, k.facts, k.logged
	t.have = t.facts.have()
	t.phase = open
	t.files.init(t)
	a := Opened{ID: t.id, Dir: k.facts.dir, Have: t.haveCopy(), Partials: partialsOf(t.facts), Saved: t.facts.saved}
	if !t.facts.stale.None() {
		u := t.facts.stale.Clone()
		a.Unknown = &u
	}
	t.tell(a)
	t.tellFiles(k.made)
	for p := range t.facts.written.All() {
		s.soil(t, metainfo.PieceIndex(p))
	}
	for _, i := range k.unsynced {
		t.soilFile(i)
		s.sync.dirty.add(t)
	}
	s.finishComplete(t, k)
	if files := t.unplaced(); len(files) > 0 && !t.opt.ReadOnly {
		s.place(t, files, 0, false) // wanted only since the last time
	}
	s.makeLinks(t)
	early := t.early
	t.early = nil
	s.again(c, early)
	s.lanes.slow.add(t)
}

// remove ends a torrent's stay.
func (s *Storage) remove(t *torrent) {
	t.phase = closed
	delete(s.torrents, t.id)
	delete(s.keys, t.key)
}

// reconcile says what is to be believed of a torrent, given its records and what
// its files look like. It is pure.
type reconcile struct {
	lay    *layout
	facts  *facts
	health stateHealth
	boot   string
	check  bool       // trust no record
	there  []fileLook // by file
	// Results: whether pieces were lost or became stale by judging.
	differs bool

	rebooted bool  // since the last record
	limit    int64 // when something was recorded last, Unix ns
	vague    bool  // limit is by another clock than that of files here
}

// fileLook is what was found of a file.
type fileLook struct {
	found bool
	size  int64
	mtime int64
	id    FileID
	late  bool // the time may be one that is rounded, or set by a server
}

// How much later than its state file a payload file may have changed and still be
// thought to be left by us, in nanoseconds.
const (
	// ownTime: every write is recorded just before, by the same clock. Between the two
	// there are a busy machine, and the writes of other files that the same piece is in.
	ownTime = 10e9
	// slackTime is for power cuts, which may have taken the last records, and for servers
	// whose clocks differ.
	slackTime = 120e9
)

// judge reduces the facts to what may be trusted; pieces that have to be hashed
// before they can be are stale then. It reports whether all that was recorded is
// gone, in which case nothing must be made anew in its place.
func (r *reconcile) judge() (missing bool) {
	f := r.facts
	before, staleBefore := f.have(), f.stale.Clone()
	recorded := f.have()
	recorded.Or(&f.stale)
	if r.rebooted = r.boot == "" || f.boot != r.boot; r.rebooted {
		f.stale.Or(&f.written)
		f.written.Reset()
		if !f.clean {
			f.partials = nil
		}
		f.boot = r.boot
	}
	if r.health == stateHoles && !r.rebooted {
		r.health = stateDamaged // no power cut has done that
	}
	if r.check || r.health == stateDamaged {
		f.stale.Or(&recorded)
		f.partials = nil
	}
	gone, kept := 0, 0
	trusted := f.have()
	for i := range r.there {
		switch first, last := r.lay.piecesOf(int32(i)); {
		case r.judgeFile(int32(i), &recorded):
			kept++
		case anyIn(&trusted, first, last) && r.lay.hasData(int32(i)) && f.placed.Has(int32(i)):
			gone++
		}
	}
	if r.check || r.health == stateNone || r.health == stateDamaged {
		r.foreign()
	}
	f.durable.AndNot(&f.stale)
	f.written.AndNot(&f.stale)
	after := f.have()
	r.differs = !before.Equal(&after) || !staleBefore.Equal(&f.stale)
	return gone > 0 && kept == 0 && !r.check
}

func anyIn(s *bits.Set, first, last metainfo.PieceIndex) bool {
	p := s.NextSet(int32(first))
	return p >= 0 && p <= int32(last)
}

// judgeFile takes the trust from pieces of a file that is gone, cut short or has
// been changed by others. It reports whether something was recorded of the file
// and it is there.
func (r *reconcile) judgeFile(i int32, recorded *bits.Set) bool {
	first, last := r.lay.piecesOf(i)
	if !r.lay.hasData(i) || !r.facts.placed.Has(i) || !anyIn(recorded, first, last) {
		return false
	}
	look := &r.there[i]
	if !look.found {
		r.loseRange(int32(first), int32(last))
		return false
	}
	if r.changed(i) {
		for p := int32(first); p <= int32(last); p++ {
			if recorded.Has(p) {
				r.facts.stale.Set(p)
			}
		}
	}
	if whole := r.lay.files[i].Offset + look.size; whole < r.lay.end(int(i)) {
		from, _ := r.lay.Locate(whole)
		r.loseRange(int32(from), int32(last))
	}
	return true
}

func (r *reconcile) loseRange(first, last int32) {
	for p := first; p <= last; p++ {
		r.facts.lose(p)
	}
}

// changed reports whether a file is another one than was recorded, or has been
// changed by others since.
func (r *reconcile) changed(i int32) bool {
	look := &r.there[i]
	st, known := r.facts.stats[i]
	if !known {
		return r.facts.clean || r.tooLate(look, slackTime)
	}
	also, copied := r.facts.also[i]
	return r.differs1(look, &st) && (!copied || r.differs1(look, &also))
}

// differs1 compares a file with one record of it.
func (r *reconcile) differs1(look *fileLook, st *fileStat) bool {
	if !st.id.same(look.id, r.rebooted) {
		return true
	}
	switch {
	case look.mtime < st.mtime && !look.near(st.mtime):
		// After a power cut the time may be an earlier one: syncing data does not
		// sync the time of its last change.
		return !r.rebooted
	case r.facts.clean:
		return look.size != st.size || !look.near(st.mtime)
	case look.size < st.size:
		return !r.rebooted // else what is not there is taken from it, no more
	case look.near(st.mtime) && look.size == st.size:
		return false
	}
	// It was written after what is recorded. That may have been us, if we were about
	// to when we were killed, or if a power cut took the last records.
	slack := int64(ownTime)
	if r.rebooted || r.vague || look.late {
		slack = slackTime
	}
	return !st.busy && !r.rebooted || r.tooLate(look, slack)
}

// tooLate reports whether a file was changed so long after the last record that it
// can't have been us.
func (r *reconcile) tooLate(look *fileLook, slack int64) bool {
	return r.limit > 0 && look.mtime > r.limit+slack
}

// near reports whether a time is that of the file, which may be rounded to 2 s.
func (l *fileLook) near(mtime int64) bool {
	d := l.mtime - mtime
	return d == 0 || l.late && d > -2e9 && d < 2e9
}

// foreign finds pieces of which nothing is recorded although files that hold them
// exist: data from elsewhere, or from a run whose records are lost.
func (r *reconcile) foreign() {
	var spans []span
	for p := range r.lay.Pieces() {
		spans = r.lay.pieceSpans(spans[:0], metainfo.PieceIndex(p))
		if r.allThere(spans) {
			r.facts.stale.Set(p)
		}
	}
}

// allThere reports whether files that exist cover the spans.
func (r *reconcile) allThere(spans []span) bool {
	stored := false
	for _, sp := range spans {
		if !r.lay.hasData(sp.file) {
			continue
		}
		if look := &r.there[sp.file]; !look.found || look.size < sp.off+sp.n {
			return false
		}
		stored = true
	}
	return stored
}
