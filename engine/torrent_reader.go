package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
)

// leases are what Readers wait for. Owner: the torrent. A lease makes pieces due; it
// ends with the Reader or by time, so that a Reader that died costs nothing for long.
type leases struct {
	byReader map[uint64]lease
	waiters  map[metainfo.PieceIndex][]await
}

// lease is what one Reader wants to read next.
type lease struct {
	first, last metainfo.PieceIndex
	since       actor.Time // when it came to first
	until       actor.Time
}

// dueStep is how much later each piece of a lease is due than the one before it.
const dueStep = 2 * time.Second

// onUrgent sets, renews or ends a Reader's lease.
func (t *torrent) onUrgent(c *actor.Ctx[torrentMsg], m urgent) {
	l := &t.reader
	old, known := l.byReader[m.reader]
	switch {
	case m.end:
		delete(l.byReader, m.reader)
		l.forget(m.reader)
	case !known && len(l.byReader) >= maxReaders:
		return
	default:
		fresh := lease{m.first, m.last, c.Now(), c.Now().Add(leaseTime)}
		if known && old.first == m.first {
			fresh.since = old.since
		}
		if l.byReader == nil {
			l.byReader = map[uint64]lease{}
		}
		l.byReader[m.reader] = fresh
	}
	t.changedDeadlines(c)
}

// changedDeadlines tells the strategy which pieces have become due or no longer are.
// What nobody has selected is lent to Readers for as long.
func (t *torrent) changedDeadlines(c *actor.Ctx[torrentMsg]) {
	old, moved := t.pieces.deadline, len(t.reader.byReader) == 0
	t.pieces.deadline = t.reader.deadlines(&t.pieces.have, t.pieces.l)
	t.pieces.due = inOrder(t.pieces.deadline)
	for _, i := range changedKeys(old, t.pieces.deadline) {
		if t.pieces.deadline[i] != 0 {
			moved = t.pieces.lend(i) || moved
		} else {
			moved = t.takeBackLent(i) || moved
		}
		t.changed(i, picker.DeadlineChanged)
	}
	if moved {
		t.recount()
		if t.mayConnect() {
			t.settle(c)
		}
	}
	t.feedEverybody()
	if at := t.reader.soonest(); at != actor.Never && !t.armed(tickLease) {
		t.after(c, at.Sub(c.Now()), tickLease)
	}
}

// soonest is when the first lease ends that is not renewed.
func (l *leases) soonest() actor.Time {
	at := actor.Never
	for _, x := range l.byReader { //order: irrelevant
		at = min(at, x.until)
	}
	return at
}

// takeBackLent ends the wish for a piece that nobody reads any more, nor has selected.
func (t *torrent) takeBackLent(i metainfo.PieceIndex) bool {
	if !t.pieces.unlend(i) {
		return false
	}
	if a := t.pieces.partial(i); a != nil && !a.hashing() {
		t.withdraw(a)
	}
	return true
}

// deadlines are when each missing piece is due: the earliest of all leases.
func (l *leases) deadlines(have *bits.Set, n metainfo.Lengths) map[metainfo.PieceIndex]clock.Time {
	out := map[metainfo.PieceIndex]clock.Time{}
	for _, x := range l.byReader { //order: irrelevant
		for i := x.first; i <= x.last && n.Valid(i); i++ {
			due := x.since.Add(dueStep * actor.Duration(i-x.first+1))
			if old, ok := out[i]; !have.Has(int32(i)) && (!ok || due < old) {
				out[i] = due
			}
		}
	}
	return out
}

// inOrder lists the pieces that are due, the earliest first.
func inOrder(deadline map[metainfo.PieceIndex]clock.Time) []metainfo.PieceIndex {
	return slices.SortedFunc(maps.Keys(deadline), func(a, b metainfo.PieceIndex) int {
		return cmp.Or(cmp.Compare(deadline[a], deadline[b]), cmp.Compare(a, b))
	})
}

// changedKeys lists, in order, where two sets of deadlines differ.
func changedKeys(a, b map[metainfo.PieceIndex]clock.Time) (out []metainfo.PieceIndex) {
	for i, at := range a { //order: irrelevant, sorted below
		if b[i] != at {
			out = append(out, i)
		}
	}
	for i := range b { //order: irrelevant, sorted below
		if _, both := a[i]; !both {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return out
}

// expire ends leases whose time is up.
func (l *leases) expire(now actor.Time) {
	for id, x := range l.byReader { //order: irrelevant
		if x.until <= now {
			delete(l.byReader, id)
		}
	}
}

// onAwait answers when a piece is there.
func (t *torrent) onAwait(m await) {
	switch {
	case !t.pieces.l.Valid(m.piece):
		m.reply.Tell(fmt.Errorf("piece %d of %d", m.piece, t.pieces.l.Pieces()))
	case t.life.finishing:
		m.reply.Tell(ErrClosed)
	case t.life.err != nil:
		m.reply.Tell(t.life.err)
	case t.pieces.have.Has(int32(m.piece)):
		m.reply.Tell(nil)
	case t.cfg.seedOnly && t.mayConnect():
		m.reply.Tell(fmt.Errorf("piece %d: %w", m.piece, ErrNotThere))
	case len(t.reader.waiters[m.piece]) >= maxWaiters:
		m.reply.Tell(ErrBusy)
	default:
		if t.reader.waiters == nil {
			t.reader.waiters = map[metainfo.PieceIndex][]await{}
		}
		t.reader.waiters[m.piece] = append(t.reader.waiters[m.piece], m)
	}
}

// ErrNotThere answers a Reader that wants what is not there, of a torrent that does
// not download.
var ErrNotThere = errors.New("not there, and the torrent does not download")

func (l *leases) arrived(piece metainfo.PieceIndex) { l.answer(piece, nil) }

func (l *leases) answer(piece metainfo.PieceIndex, err error) {
	for _, w := range l.waiters[piece] {
		w.reply.Tell(err)
	}
	delete(l.waiters, piece)
}

// all answers those who wait for pieces that a check has found.
func (l *leases) all(p *pieces) {
	for i := range l.waiters { //order: irrelevant
		if p.have.Has(int32(i)) {
			l.arrived(i)
		}
	}
}

func (l *leases) failAll(why error) {
	for i := range l.waiters { //order: irrelevant
		l.answer(i, why)
	}
}

// forget answers those who have stopped waiting.
func (l *leases) forget(reader uint64) {
	for i, list := range l.waiters { //order: irrelevant
		kept := slices.DeleteFunc(list, func(w await) bool {
			if w.reader == reader {
				w.reply.Tell(ErrClosed)
			}
			return w.reader == reader
		})
		if l.waiters[i] = kept; len(kept) == 0 {
			delete(l.waiters, i)
		}
	}
}
