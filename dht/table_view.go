package dht

import (
	"encoding/binary"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// maxClosest caps n of Closest.
const maxClosest = 64

// Closest appends to dst the n nodes closest to target, closest first, that are at
// least as good as asked for: Good ones for replies ("K closest good nodes"),
// Questionable ones too for our own lookups, Bad ones when all else fails.
func (t *Table) Closest(dst []Contact, target ID, n int, least State, now clock.Time) []Contact {
	c := nearest{target: target, head: head(target), want: min(n, maxClosest), least: least, now: now}
	// Nodes in target's own bucket are closer than all others, those of the buckets
	// behind it, towards our id, come next, all at one prefix; then bucket by bucket
	// those in front of it.
	at := t.index(target)
	c.scan(t.buckets[at].nodes)
	if !c.full() {
		for i := at + 1; i < len(t.buckets); i++ {
			c.scan(t.buckets[i].nodes)
		}
	}
	for i := at - 1; i >= 0 && !c.full(); i-- {
		c.scan(t.buckets[i].nodes)
	}
	for _, e := range c.best[:c.n] {
		dst = append(dst, e.contact())
	}
	return dst
}

// nearest collects the entries closest to a target, in order.
type nearest struct {
	target ID
	head   uint64
	want   int
	least  State
	now    clock.Time
	n      int
	best   [maxClosest]*entry
	far    [maxClosest]uint64 // the first 8 bytes of their distances
}

// head is the first 8 bytes of an id; they decide nearly every comparison.
func head(id ID) uint64 { return binary.BigEndian.Uint64(id[:]) }

func (c *nearest) full() bool { return c.n >= c.want }

func (c *nearest) scan(es []entry) {
	for i := range es {
		e := &es[i]
		far := head(e.id) ^ c.head
		if c.full() && (c.want <= 0 || far > c.far[c.n-1]) {
			continue
		}
		if c.least == Bad || e.state(c.now) >= c.least {
			c.add(e, far)
		}
	}
}

// add inserts e where it belongs, if that is among the best.
func (c *nearest) add(e *entry, far uint64) {
	i := c.n
	for i > 0 && (far < c.far[i-1] || far == c.far[i-1] && Closer(c.target, e.id, c.best[i-1].id)) {
		i--
	}
	if i >= c.want {
		return
	}
	c.n = min(c.n+1, c.want)
	copy(c.best[i+1:c.n], c.best[i:])
	copy(c.far[i+1:c.n], c.far[i:])
	c.best[i], c.far[i] = e, far
}

// TableCount counts a table's nodes.
type TableCount struct {
	Good, Questionable, Bad, Spares, Buckets int
}

// Count counts.
func (t *Table) Count(now clock.Time) TableCount {
	n := TableCount{Buckets: len(t.buckets)}
	for i := range t.buckets {
		b := &t.buckets[i]
		n.Spares += len(b.spares)
		for k := range b.nodes {
			switch b.nodes[k].state(now) {
			case Good:
				n.Good++
			case Questionable:
				n.Questionable++
			case Bad:
				n.Bad++
			}
		}
	}
	return n
}

// View copies the table for people.
func (t *Table) View(now clock.Time) TableView {
	v := TableView{Self: t.own}
	for i := range t.buckets {
		b := &t.buckets[i]
		bv := BucketView{Prefix: i, Replacements: len(b.spares)}
		for k := range b.nodes {
			e := &b.nodes[k]
			bv.Nodes = append(bv.Nodes, NodeView{
				Contact: e.contact(),
				RTT:     time.Duration(e.rtt) * time.Millisecond,
				Fails:   int(e.fails),
				Good:    e.state(now) == Good,
				Secure:  e.flags&secure != 0,
			})
		}
		v.Buckets = append(v.Buckets, bv)
	}
	return v
}

// Contacts appends all nodes that are not bad, good ones first: what is worth saving.
// If all are bad, which a line that was down can do, it is all of them.
func (t *Table) Contacts(dst []Contact, now clock.Time) []Contact {
	from := len(dst)
	for s := Good; ; s-- {
		if s == Bad && len(dst) > from {
			return dst
		}
		for i := range t.buckets {
			b := &t.buckets[i]
			for k := range b.nodes {
				if b.nodes[k].state(now) == s {
					dst = append(dst, b.nodes[k].contact())
				}
			}
		}
		if s == Bad {
			return dst
		}
	}
}
