package engine

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
)

// leases are what Readers wait for. Owner: the torrent. A lease makes pieces due; it
// ends with the Reader or by time, so that a Reader that died costs nothing for long.
type leases struct {
	byReader map[uint64]urgent
	waiters  map[metainfo.PieceIndex][]actor.Ref[error]
}

// onUrgent sets, renews or ends a Reader's lease.
func (t *torrent) onUrgent(c *actor.Ctx[torrentMsg], m urgent) {
	if t.reader.byReader == nil {
		t.reader.byReader = map[uint64]urgent{}
	}
	if m.until == 0 {
		delete(t.reader.byReader, m.reader)
	} else {
		m.until = c.Now().Add(leaseTime)
		t.reader.byReader[m.reader] = m
		if !t.armed(tickLease) {
			t.after(c, leaseTime, tickLease)
		}
	}
	t.changedDeadlines()
}

// changedDeadlines tells the strategy which pieces have become due or no longer are.
func (t *torrent) changedDeadlines() {
	fresh := map[metainfo.PieceIndex]clock.Time{}
	for _, l := range t.reader.byReader { //order: irrelevant
		for i := l.first; i <= l.last && t.pieces.l.Valid(i); i++ {
			due := clock.Time(i-l.first) + 1 // the order in which they are read
			if old, ok := fresh[i]; !ok || due < old {
				fresh[i] = due
			}
		}
	}
	old := t.pieces.deadline
	t.pieces.deadline = fresh
	for i := range t.pieces.l.Pieces() {
		p := pieceIndex(i)
		if old[p] != fresh[p] {
			t.wantForReader(p)
			t.changed(p, picker.DeadlineChanged)
		}
	}
	t.feedAll()
}

// wantForReader selects a piece that nobody had selected but somebody reads.
func (t *torrent) wantForReader(p metainfo.PieceIndex) {
	if t.pieces.prio[p] == 0 && t.pieces.deadline[p] != 0 && !t.pieces.have.Has(int32(p)) {
		t.pieces.prio[p] = normalPriority
		t.pieces.recount()
		t.recountWants()
		t.changed(p, picker.PrioChanged)
	}
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
	case t.pieces.l.Valid(m.piece) && t.pieces.have.Has(int32(m.piece)):
		m.reply.Tell(nil)
	case t.life.err != nil:
		m.reply.Tell(t.life.err)
	case len(t.reader.waiters[m.piece]) >= maxWaiters:
		m.reply.Tell(ErrBusy)
	default:
		if t.reader.waiters == nil {
			t.reader.waiters = map[metainfo.PieceIndex][]actor.Ref[error]{}
		}
		t.reader.waiters[m.piece] = append(t.reader.waiters[m.piece], m.reply)
	}
}

func (l *leases) arrived(piece metainfo.PieceIndex) {
	for _, r := range l.waiters[piece] {
		r.Tell(nil)
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
	for i, list := range l.waiters { //order: irrelevant
		for _, r := range list {
			r.Tell(why)
		}
		delete(l.waiters, i)
	}
}
