package dht

import "github.com/shoal-bt/shoal/internal/clock"

// spare keeps a node that waits for a place, unless it is bad. Of one address there is
// one.
func (t *Table) spare(e entry) {
	t.dropSpares(e.at)
	if e.fails >= badAfter {
		return
	}
	e.fails, e.flags = 0, e.flags&^pinging
	b := t.bucket(e.id)
	if s := findID(b.spares, e.id); s != nil {
		if s.replied == 0 || e.replied != 0 {
			*s = e
		}
		return
	}
	if len(b.spares) < t.o.Spares {
		b.spares = append(b.spares, e)
		return
	}
	if worst := worstSpare(b.spares); !better(worst, &e) {
		*worst = e
	}
}

// better reports whether spare a is preferred to b: one that answered to one that only
// spoke, one whose id fits its address, then what was heard of last.
func better(a, b *entry) bool {
	if (a.replied != 0) != (b.replied != 0) {
		return a.replied != 0
	}
	if (a.flags^b.flags)&secure != 0 {
		return a.flags&secure != 0
	}
	return max(a.replied, a.queried) > max(b.replied, b.queried)
}

func worstSpare(es []entry) *entry {
	w := &es[0]
	for i := range es {
		if better(w, &es[i]) {
			w = &es[i]
		}
	}
	return w
}

// dropSpares forgets the spare at an address.
func (t *Table) dropSpares(at place) {
	for i := range t.buckets {
		b := &t.buckets[i]
		if e := findPlace(b.spares, at); e != nil {
			b.spares = remove(b.spares, e)
			return
		}
	}
}

// Failed notes that a node left a query unanswered. A spare that does is forgotten; a
// node that does repeatedly is bad, and replaced as soon as there is somebody. Without
// a replacement it stays: an empty table is worse, and it may be our own line that is
// down.
func (t *Table) Failed(c Contact, now clock.Time) {
	c.Addr = unmapped(c.Addr)
	i := t.index(c.ID)
	b := &t.buckets[i]
	if e := find(b.spares, c); e != nil {
		b.spares = remove(b.spares, e)
		return
	}
	e := find(b.nodes, c)
	if e == nil {
		return
	}
	e.flags &^= pinging
	e.fails = min(e.fails, 254) + 1
	if e.fails < badAfter {
		return
	}
	if s := t.candidate(b, e); s != nil {
		t.promote(b, s, e, now)
	}
}

// fill lets spares that answered into a bucket that has room.
func (t *Table) fill(i int, now clock.Time) {
	b := &t.buckets[i]
	for len(b.nodes) < t.limit(i) {
		s := t.candidate(b, nil)
		if s == nil {
			return
		}
		b.nodes = append(b.nodes, entry{})
		t.promote(b, s, &b.nodes[len(b.nodes)-1], now)
	}
}

// candidate is the spare to be promoted, in the place of not or into a free one: of
// those that answered, and whose subnet has no other node, one whose id fits its
// address, then the one that answered fastest.
func (t *Table) candidate(b *bucket, not *entry) *entry {
	var best *entry
	for i := range b.spares {
		s := &b.spares[i]
		if s.replied == 0 || t.rivalOf(s, not) != nil {
			continue
		}
		if best == nil || s.flags&secure > best.flags&secure ||
			s.flags&secure == best.flags&secure && s.rtt < best.rtt {
			best = s
		}
	}
	return best
}

// promote moves spare s to the place of a node.
func (t *Table) promote(b *bucket, s, to *entry, now clock.Time) {
	*to = *s
	to.flags &^= suspect | pinging
	b.spares = remove(b.spares, s)
	b.changed = stampOf(now)
}

// NextPing is the node to ping next, if any: one that was heard of where nodes are
// missing, or the one that has been silent longest of those that are questionable
// ("the least recently seen node is pinged"), full buckets with spares first. If there
// are both they take turns, so that strangers who press in cannot keep us from finding
// out who is gone. Its outcome must be told by Replied or Failed; until then it is not
// given again.
func (t *Table) NextPing(now clock.Time) (Contact, bool) {
	e, d := t.wanted(), t.doubted(now)
	if e == nil || d != nil && t.doubt {
		e = d
	}
	if e == nil {
		return Contact{}, false
	}
	t.doubt = e != d
	e.flags |= pinging
	return e.contact(), true
}

// splits reports whether the last bucket, which is full, would have room for a spare
// after it was split.
func (t *Table) splits(i int, s *entry) bool {
	near, n := CommonPrefix(t.own, s.id) > i, 0
	for k := range t.buckets[i].nodes {
		if (CommonPrefix(t.own, t.buckets[i].nodes[k].id) > i) == near {
			n++
		}
	}
	return near || n < t.limit(i)
}

// wanted is a spare that would get a place if it answered, in the closest bucket.
func (t *Table) wanted() *entry {
	for i := len(t.buckets) - 1; i >= 0; i-- {
		b := &t.buckets[i]
		full := len(b.nodes) >= t.limit(i) && b.bad() == nil
		if full && i < len(t.buckets)-1 {
			continue
		}
		var best *entry
		for k := range b.spares {
			s := &b.spares[k]
			if s.flags&pinging == 0 && (best == nil || better(s, best)) && (!full || t.splits(i, s)) {
				best = s
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// doubted is the questionable node that was heard of least recently.
func (t *Table) doubted(now clock.Time) *entry {
	var worst *entry
	urgent := false
	for i := range t.buckets {
		b := &t.buckets[i]
		waited := len(b.spares) > 0 && len(b.nodes) >= t.limit(i)
		for k := range b.nodes {
			e := &b.nodes[k]
			if e.flags&pinging != 0 || e.state(now) != Questionable {
				continue
			}
			if worst == nil || waited && !urgent || waited == urgent && e.seen() < worst.seen() {
				worst, urgent = e, waited
			}
		}
	}
	return worst
}

func (e *entry) seen() stamp { return max(e.replied, e.queried) }
