package dht

import (
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/ipclass"
)

// Placed is what became of a node that answered.
type Placed uint8

// The outcomes.
const (
	Refused Placed = iota // own id, an address that cannot be, a subnet that has its node, an id that BEP 42 forbids
	Spare                 // it waits for a place
	Kept                  // it was there before
	Added                 // it is new in its bucket
)

// Queried notes that a node asked us something; not to be called for read-only ones
// ("the node should not add the message sender to its routing table", BEP 43). One
// that is not known becomes a spare and is pinged when there is room.
func (t *Table) Queried(c Contact, now clock.Time) {
	c.Addr = unmapped(c.Addr)
	b := t.bucket(c.ID)
	if e := find(b.nodes, c); e != nil {
		e.queried = stampOf(now)
		return
	}
	if e := find(b.spares, c); e != nil {
		e.queried = stampOf(now)
		return
	}
	t.hear(c, now)
}

// Unproven reports whether a node is a spare that has never answered us: it is going to
// be pinged.
func (t *Table) Unproven(c Contact) bool {
	c.Addr = unmapped(c.Addr)
	e := find(t.bucket(c.ID).spares, c)
	return e != nil && e.replied == 0
}

// Heard notes that somebody named a node. It becomes a spare only where nodes are
// missing, and around us, where buckets can be split: it is worth less than one that
// came by itself.
func (t *Table) Heard(c Contact, now clock.Time) {
	c.Addr = unmapped(c.Addr)
	if i := t.index(c.ID); i == len(t.buckets)-1 || len(t.buckets[i].nodes) < t.limit(i) {
		t.hear(c, now)
	}
}

// hear makes an unknown node a spare.
func (t *Table) hear(c Contact, now clock.Time) {
	e := newEntry(c)
	if !t.eligible(&e) || t.known(&e) {
		return
	}
	e.queried = stampOf(now)
	t.spare(e)
}

func newEntry(c Contact) entry {
	e := entry{id: c.ID, at: placeOf(c.Addr)}
	if Secure(c.ID, c.Addr.Addr()) {
		e.flags = secure
	}
	return e
}

// eligible reports whether a node can be in the table at all.
func (t *Table) eligible(e *entry) bool {
	return e.id != t.own && !e.id.IsZero() && usable(e.at.addrPort()) &&
		(e.flags&secure != 0 || !t.o.Enforce)
}

// known reports whether any entry has the id or stands in the way of the address.
func (t *Table) known(e *entry) bool {
	b := t.bucket(e.id)
	if findID(b.nodes, e.id) != nil || findID(b.spares, e.id) != nil {
		return true
	}
	local := ipclass.IsLocal(e.at.addrPort().Addr())
	for i := range t.buckets {
		if rival(t.buckets[i].nodes, &e.at, local) != nil || rival(t.buckets[i].spares, &e.at, local) != nil {
			return true
		}
	}
	return false
}

// rival is an entry that leaves no room for one at the address: it has the same
// subnet, or among local ones the very same address and port.
func rival(es []entry, at *place, local bool) *entry {
	hi, lo := at.halves()
	for i := range es {
		switch h, l := es[i].at.halves(); {
		case h != hi:
		case local && (l != lo || es[i].at.port != at.port):
		case local || hi != 0 || l>>8 == lo>>8: // the /64 of IPv6, the /24 of IPv4
			return &es[i]
		}
	}
	return nil
}

// Replied notes that a node answered a query of ours, after rtt. The caller has
// checked that the answer came from where the query went.
func (t *Table) Replied(c Contact, rtt time.Duration, now clock.Time) Placed {
	c.Addr = unmapped(c.Addr)
	e := newEntry(c)
	e.replied, e.rtt = stampOf(now), uint16(min(rtt/time.Millisecond, 1<<16-1))
	if !t.eligible(&e) {
		t.evict(e.at, now)
		return Refused
	}
	if old := findID(t.bucket(c.ID).nodes, c.ID); old != nil {
		return t.again(old, &e, now)
	}
	return t.newcomer(e, now)
}

// again is an answer of an id that has its place. It may have moved, by a NAT's whim
// or to another network; but nobody can take the place of a good node by its name.
func (t *Table) again(old, e *entry, now clock.Time) Placed {
	if old.at != e.at {
		if old.at.ip != e.at.ip && old.state(now) == Good || t.rivalOf(e, old) != nil {
			return Refused
		}
		t.dropSpares(e.at)
		old.at = e.at
	}
	old.replied, old.rtt, old.fails, old.flags = e.replied, e.rtt, 0, e.flags
	t.bucket(e.id).changed = e.replied
	return Kept
}

// newcomer is an answer of an id that has no place.
func (t *Table) newcomer(e entry, now clock.Time) Placed {
	if t.changedID(&e, now) {
		e.flags |= suspect
		e.replied, e.queried = 0, e.replied
		t.spare(e)
		return Spare
	}
	if r := t.rivalOf(&e, nil); r != nil {
		if r.state(now) != Bad {
			t.dropSpares(e.at)
			return Refused
		}
		t.evict(r.at, now)
	}
	t.dropSpares(e.at)
	if b := t.bucket(e.id); findID(b.spares, e.id) != nil {
		b.spares = remove(b.spares, findID(b.spares, e.id)) // it was named at another address
	}
	return t.place(e, now)
}

// changedID reports whether the address had another id, and takes that from the
// table. BEP 45: "when receiving a valid response ... from a remote node whose socket
// address is found in the routing table but whose ID does not match the entry in the
// routing table then this entry may be evicted immediately." The new id has to answer
// once more under the same name before it gets a place.
func (t *Table) changedID(e *entry, now clock.Time) bool {
	if t.evict(e.at, now) {
		return true
	}
	for i := range t.buckets {
		if s := findPlace(t.buckets[i].spares, e.at); s != nil && s.flags&suspect != 0 && s.id != e.id {
			return true
		}
	}
	return false
}

// rivalOf is the node, other than not, that leaves no room for e. Spares do not.
func (t *Table) rivalOf(e, not *entry) *entry {
	local := ipclass.IsLocal(e.at.addrPort().Addr())
	for i := range t.buckets {
		if r := rival(t.buckets[i].nodes, &e.at, local); r != nil && r != not {
			return r
		}
	}
	return nil
}

// evict takes the node at an address out of its bucket, and lets a spare in.
func (t *Table) evict(at place, now clock.Time) bool {
	for i := range t.buckets {
		b := &t.buckets[i]
		if e := findPlace(b.nodes, at); e != nil {
			b.nodes = remove(b.nodes, e)
			t.fill(i, now)
			return true
		}
	}
	return false
}

// remove takes out e, which points into es, and keeps the order.
func remove(es []entry, e *entry) []entry {
	for i := range es {
		if &es[i] == e {
			return append(es[:i], es[i+1:]...)
		}
	}
	return es
}

// place gives a node that answered its place, splitting buckets as needed.
func (t *Table) place(e entry, now clock.Time) Placed {
	for {
		i := t.index(e.id)
		b := &t.buckets[i]
		if len(b.nodes) < t.limit(i) {
			b.nodes, b.changed = append(b.nodes, e), stampOf(now)
			return Added
		}
		if v := b.bad(); v != nil {
			*v, b.changed = e, stampOf(now)
			return Added
		}
		// "no more nodes may be added unless our own node ID falls within the range of
		// the bucket. In that case, the bucket is replaced by two new buckets"
		if i < len(t.buckets)-1 || len(t.buckets) == IDBits {
			return t.displace(b, e, now)
		}
		t.split()
		for ; i < len(t.buckets); i++ {
			t.fill(i, now)
		}
	}
}

// displace puts a node in the place of one whose id does not fit its address, if its
// own does: then the other waits, else it does.
func (t *Table) displace(b *bucket, e entry, now clock.Time) Placed {
	for i := range b.nodes {
		if n := &b.nodes[i]; e.flags&^n.flags&secure != 0 {
			e, *n, b.changed = *n, e, stampOf(now)
			t.spare(e)
			return Added
		}
	}
	t.spare(e)
	return Spare
}

// bad is the node that failed most: "If any nodes in the bucket are known to have
// become bad, then one is replaced by the new node."
func (b *bucket) bad() *entry {
	var v *entry
	for i := range b.nodes {
		if n := &b.nodes[i]; n.fails >= badAfter && (v == nil || v.fails < n.fails) {
			v = n
		}
	}
	return v
}

// split replaces the last bucket by two. Behind the wide buckets the halves may be too
// small for all: the last is split again, of the other the newest have to wait.
func (t *Table) split() {
	i := len(t.buckets) - 1
	t.buckets = append(t.buckets, bucket{changed: t.buckets[i].changed})
	old, last := &t.buckets[i], &t.buckets[i+1]
	old.nodes, last.nodes = t.part(old.nodes, i)
	old.spares, last.spares = t.part(old.spares, i)
	for n := t.limit(i); len(old.nodes) > n; {
		e := old.nodes[len(old.nodes)-1]
		old.nodes = old.nodes[:len(old.nodes)-1]
		t.spare(e)
	}
	if len(last.nodes) > t.limit(i+1) {
		t.split()
	}
}

// part separates those that share exactly i bits with us from those that share more.
func (t *Table) part(es []entry, i int) (far, near []entry) {
	n := 0
	for k := range es {
		if CommonPrefix(t.own, es[k].id) > i {
			n++
		}
	}
	far, near = make([]entry, 0, len(es)-n), make([]entry, 0, n)
	for k := range es {
		if CommonPrefix(t.own, es[k].id) > i {
			near = append(near, es[k])
		} else {
			far = append(far, es[k])
		}
	}
	return far, near
}
