package lsd

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

const (
	// A source may send sourceRate datagrams a second, sourceBurst at once; all
	// together four times that. A client with 1,000 torrents that names one in each
	// datagram stays below it.
	sourceRate  = 20
	sourceBurst = 100
	allRate     = 80
	allBurst    = 400
	// maxSources are remembered; the one that was silent longest is forgotten.
	maxSources = 256
	// maxKnown neighbours of torrents are remembered, and newAfter of silence they
	// count as new again: two rounds of theirs, and some.
	maxKnown = 1024
	newAfter = 12 * time.Minute
)

// guard says who may be heard, and who is new. Pure; owner: the announcer.
type guard struct {
	all     bucket
	sources table[netip.Addr, bucket]
	known   table[neighbour, actor.Time]
}

// neighbour is one client's part in one torrent.
type neighbour struct {
	hash [20]byte
	addr netip.AddrPort
}

func (g *guard) init(now actor.Time) {
	g.all = bucket{tokens: allBurst, at: now}
	g.sources = table[netip.Addr, bucket]{max: maxSources}
	g.known = table[neighbour, actor.Time]{max: maxKnown}
}

// allow reports whether a datagram of a source is to be read. The source's own bucket
// comes first: one who floods takes nothing from the others.
func (g *guard) allow(from netip.Addr, now actor.Time) bool {
	b, fresh := g.sources.touch(from)
	if fresh {
		*b = bucket{tokens: sourceBurst, at: now}
	}
	return b.take(now, sourceRate, sourceBurst) && g.all.take(now, allRate, allBurst)
}

// isNew reports whether a neighbour was not heard lately, and remembers it.
func (g *guard) isNew(hash [20]byte, addr netip.AddrPort, now actor.Time) bool {
	at, fresh := g.known.touch(neighbour{hash, addr})
	was := *at
	*at = now
	return fresh || was.Add(newAfter) < now
}

// bucket is a token bucket.
type bucket struct {
	tokens int64
	at     actor.Time
}

// take takes a token if there is one; rate of them come a second, max are kept.
func (b *bucket) take(now actor.Time, rate, most int64) bool {
	if gap := int64(time.Second) / rate; int64(now.Sub(b.at)) >= gap {
		n := int64(now.Sub(b.at)) / gap
		b.tokens = min(b.tokens+n, most)
		b.at = b.at.Add(time.Duration(n * gap))
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}

// table is a map of at most max entries; the one that was touched longest ago makes
// room.
type table[K comparable, V any] struct {
	max         int
	rows        map[K]*row[K, V]
	first, last *row[K, V] // in the order in which they were touched
}

type row[K comparable, V any] struct {
	key        K
	value      V
	prev, next *row[K, V]
}

// touch returns the value of a key, and whether it is fresh: the zero value, made now.
func (t *table[K, V]) touch(k K) (v *V, fresh bool) {
	if t.rows == nil {
		t.rows = map[K]*row[K, V]{}
	}
	r := t.rows[k]
	if fresh = r == nil; fresh {
		if len(t.rows) >= t.max {
			delete(t.rows, t.first.key)
			t.unlink(t.first)
		}
		r = &row[K, V]{key: k}
		t.rows[k] = r
	} else {
		t.unlink(r)
	}
	t.append(r)
	return &r.value, fresh
}

func (t *table[K, V]) append(r *row[K, V]) {
	r.prev, r.next = t.last, nil
	if t.last != nil {
		t.last.next = r
	} else {
		t.first = r
	}
	t.last = r
}

func (t *table[K, V]) unlink(r *row[K, V]) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		t.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		t.last = r.prev
	}
}
