package engine

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/wire"
)

// next decides what to ask of whom now, and when to decide again at the latest.
func (f *metaFetch) next(now clock.Time) (asks []metaAsk, again clock.Time) {
	if f.raw != nil {
		return nil, clock.Never
	}
	f.expire(now)
	f.begin(now)
	for _, p := range f.byMerit() {
		if a := f.ask(now, p); len(a.pieces) > 0 {
			asks = append(asks, a)
		}
	}
	return asks, f.wake(now)
}

// byMerit lists who has failed least first: who has not been asked yet goes before those
// who were silent.
func (f *metaFetch) byMerit() []*metaPeer {
	list := slices.Clone(f.peers)
	slices.SortStableFunc(list, func(a, b *metaPeer) int { return cmp.Compare(a.fails, b.fails) })
	return list
}

// expire makes requests late.
func (f *metaFetch) expire(now clock.Time) {
	for _, p := range f.peers {
		late := false
		for i := range p.asked {
			a := &p.asked[i]
			if !a.late && a.at.Add(metaTimeout) <= now {
				f.makeLate(p, a)
				late = true
			}
		}
		if late {
			p.failed(now)
		}
	}
}

// begin starts as many attempts as may be under way; those that do not get on make room.
func (f *metaFetch) begin(now clock.Time) {
	for _, k := range f.waiting() {
		for !f.room(k) {
			i := slices.IndexFunc(f.tries, func(t *metaTry) bool { return f.overdue(t) <= now })
			if i < 0 {
				break
			}
			f.giveUp(f.tries[i])
		}
		if f.room(k) {
			f.tries = append(f.tries, &metaTry{metaKey: k, pieces: make([]metaPiece, wire.MetadataPieces(k.size)), since: now, moved: now})
		}
	}
}

// room reports whether an attempt may begin. One that was given up before begins only if
// all of it has room beside the others: who was the slowest would be that again and again,
// and what it sends be thrown away.
func (f *metaFetch) room(k metaKey) bool {
	if len(f.tries) >= maxMetaTries {
		return false
	}
	sum := k.size
	for _, t := range f.tries {
		sum += t.size
	}
	return f.over[k] == 0 || sum <= maxMetaHeld
}

// overdue is when an attempt gives way to one that waits.
func (f *metaFetch) overdue(t *metaTry) clock.Time {
	times := f.over[t.metaKey]
	whole := metaGrace + time.Duration(len(t.pieces))*metaSlow
	return min(t.moved.Add(metaStall<<times), t.since.Add(whole<<times))
}

// waiting lists the attempts that could be made and are not: those first that were given
// up less often, of sizes that more peers announce, that are judged sooner.
func (f *metaFetch) waiting() (out []metaKey) {
	crowd := map[int64]int{}
	for _, p := range f.peers {
		if p.size <= 0 {
			continue
		}
		crowd[p.size]++
		k := metaKey{size: p.size}
		if len(f.mixed[p.size]) > 0 {
			k.only = p.id
		}
		if !slices.Contains(out, k) && !slices.ContainsFunc(f.tries, func(t *metaTry) bool { return t.metaKey == k }) {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b metaKey) int {
		return cmp.Or(cmp.Compare(f.over[a], f.over[b]), cmp.Compare(crowd[b.size], crowd[a.size]), cmp.Compare(a.size, b.size))
	})
	return out
}

// ask chooses what to ask of a peer now.
func (f *metaFetch) ask(now clock.Time, p *metaPeer) metaAsk {
	out := metaAsk{id: p.id}
	if p.size == 0 {
		if p.rest <= now && !p.waits(0) {
			p.rest = now.Add(metaProbe)
			p.ask(now, 0)
			out.pieces = append(out.pieces, 0)
		}
		return out
	}
	t := f.tryOf(p)
	for t != nil && p.rest <= now && p.out() < p.depth {
		i := t.choose(now, p)
		if i < 0 {
			break
		}
		t.pieces[i].ask(now)
		p.ask(now, i)
		out.pieces = append(out.pieces, i)
	}
	return out
}

// choose is the next piece to ask of a peer, -1 if there is none: one that is asked of
// nobody, or else of those that more may be asked for the one that has not been asked
// for longest.
func (t *metaTry) choose(now clock.Time, p *metaPeer) int32 {
	slow := int32(-1)
	for i := range t.pieces {
		x := &t.pieces[i]
		switch {
		case x.data != nil || p.waits(int32(i)):
		case x.out == 0:
			return int32(i)
		case x.more() <= now && (slow < 0 || x.asked < t.pieces[slow].asked):
			slow = int32(i)
		}
	}
	return slow
}

// ask notes a request.
func (x *metaPiece) ask(now clock.Time) {
	if x.first == 0 {
		x.first = now
	}
	x.out++
	x.asked = now
}

// more is when a piece may be asked of one more peer besides those that it is out with.
func (x *metaPiece) more() clock.Time {
	return x.first.Add(time.Duration(bits.Len16(uint16(x.out))) * metaDouble)
}

// wake is when something may be due without anything happening before.
func (f *metaFetch) wake(now clock.Time) clock.Time {
	at := clock.Never
	sooner := func(x clock.Time) {
		if x > now {
			at = min(at, x)
		}
	}
	for _, p := range f.peers {
		for _, a := range p.asked {
			if !a.late {
				sooner(a.at.Add(metaTimeout))
			}
		}
		if p.size >= 0 {
			sooner(p.rest)
		}
	}
	for _, t := range f.tries {
		for i := range t.pieces {
			if x := &t.pieces[i]; x.data == nil && x.out > 0 {
				sooner(x.more())
			}
		}
	}
	if len(f.waiting()) > 0 {
		for _, t := range f.tries {
			sooner(f.overdue(t))
		}
	}
	return at
}
