package dht

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// GoodFor is how long a node counts as good after it was last heard of, and a bucket
// as fresh after its last change (BEP 5: 15 minutes).
const GoodFor = 15 * time.Minute

// wideBuckets is how many of the first buckets are larger in a wide table.
const wideBuckets = 4

// TableOptions choose the shape of a Table. Zero fields mean the default.
type TableOptions struct {
	// Wide makes the first four buckets 16, 8, 4 and 2 times as large. Lookups begin
	// there: 15 of 16 targets fall into these buckets, and a choice of 128 nodes
	// instead of 8 is worth four bits. In a network of 10,000 nodes it takes a lookup
	// with three queries at a time 1.3 rounds instead of 1.9 to learn of the closest
	// node; it costs 11 kB.
	Wide bool
	// Spares is how many replacements a bucket keeps; default K.
	Spares int
	// Enforce refuses nodes whose ids do not fit their addresses (BEP 42). Without it
	// they get what room is left.
	Enforce bool
}

// Table is the routing table of one node (BEP 5, "Routing Table"). It owns what is
// known of other nodes: who they are, when they last answered or asked, and who
// replaces whom.
//
// Only nodes that answered a query of ours are in a bucket. What else is heard of
// waits among the bucket's spares until there is room to ping it. In the whole table
// there is one node per address and per Subnet, local addresses aside.
type Table struct {
	own     ID
	o       TableOptions
	buckets []bucket // bucket i: nodes that share exactly i leading bits with own, the last one: i or more
	doubt   bool     // whose turn it is to be pinged: a questionable node's
}

// bucket is a range of ids.
type bucket struct {
	nodes   []entry // answered once, at most limit
	spares  []entry // at most Spares; those that answered once have replied set
	changed stamp
}

// entry is a node in 52 bytes without pointers.
type entry struct {
	id      ID
	at      place
	rtt     uint16 // milliseconds of the last answer
	replied stamp
	queried stamp // it asked us; of a spare: or was named
	fails   uint8 // queries in a row without an answer
	flags   uint8
}

// Flags of an entry.
const (
	pinging uint8 = 1 << iota // NextPing gave it, the outcome is not known yet
	secure                    // BEP 42 allows its id
	suspect                   // of a spare: its address had another id before
)

// stamp is a moment in whole seconds, one more than its count; 0 is never.
type stamp uint32

func stampOf(now clock.Time) stamp { return stamp(now/clock.Time(time.Second)) + 1 }

func (s stamp) time() clock.Time {
	if s == 0 {
		return 0
	}
	return clock.Time(s-1) * clock.Time(time.Second)
}

// within reports whether s is no longer than d before now.
func (s stamp) within(d clock.Duration, now clock.Time) bool {
	return s != 0 && now.Sub(s.time()) <= d
}

// State is what BEP 5 thinks of a node.
type State uint8

// The states, worst first. After badAfter queries in a row without an answer a node is
// bad, after GoodFor without a word questionable.
const (
	Bad State = iota
	Questionable
	Good
)

// badAfter: "Nodes become bad when they fail to respond to multiple queries in a row."
const badAfter = 2

// String names the state.
func (s State) String() string { return [...]string{"bad", "questionable", "good"}[s] }

func (e *entry) state(now clock.Time) State {
	switch {
	case e.fails >= badAfter:
		return Bad
	case e.fails == 0 && e.replied != 0 && max(e.replied, e.queried).within(GoodFor, now):
		return Good
	}
	return Questionable
}

func (e *entry) contact() Contact { return Contact{e.id, e.at.addrPort()} }

// NewTable is an empty table around own.
func NewTable(own ID, o TableOptions, now clock.Time) *Table {
	if o.Spares <= 0 {
		o.Spares = K
	}
	return &Table{own: own, o: o, buckets: []bucket{{changed: stampOf(now)}}}
}

// Own is the id in the table's centre.
func (t *Table) Own() ID { return t.own }

// index is the bucket whose range id lies in.
func (t *Table) index(id ID) int { return min(CommonPrefix(t.own, id), len(t.buckets)-1) }

func (t *Table) bucket(id ID) *bucket { return &t.buckets[t.index(id)] }

// limit is how many nodes bucket i holds.
func (t *Table) limit(i int) int {
	if t.o.Wide && i < wideBuckets {
		return K << (wideBuckets - i)
	}
	return K
}

// State is what is thought of a node that is in a bucket.
func (t *Table) State(c Contact, now clock.Time) (s State, ok bool) {
	if e := find(t.bucket(c.ID).nodes, c); e != nil {
		return e.state(now), true
	}
	return Bad, false
}

// Verified reports whether a node at this address ever answered us: so it is no forged
// source.
func (t *Table) Verified(a netip.AddrPort) bool {
	at := placeOf(unmapped(a))
	for i := range t.buckets {
		b := &t.buckets[i]
		if e := findPlace(b.nodes, at); e != nil {
			return true
		}
		if e := findPlace(b.spares, at); e != nil && e.replied != 0 {
			return true
		}
	}
	return false
}

// find is the node with this id at this address.
func find(es []entry, c Contact) *entry {
	for i := range es {
		if es[i].id == c.ID && es[i].at == placeOf(c.Addr) {
			return &es[i]
		}
	}
	return nil
}

func findID(es []entry, id ID) *entry {
	for i := range es {
		if es[i].id == id {
			return &es[i]
		}
	}
	return nil
}

func findPlace(es []entry, at place) *entry {
	for i := range es {
		if es[i].at == at {
			return &es[i]
		}
	}
	return nil
}

// SetOwn moves the table's centre: our id changed. All nodes find new places.
func (t *Table) SetOwn(own ID, now clock.Time) {
	old := t.buckets
	t.own, t.buckets = own, []bucket{{changed: stampOf(now)}}
	for i := range old {
		for j := range old[i].nodes {
			t.place(old[i].nodes[j], now)
		}
	}
	for i := range old {
		for j := range old[i].spares {
			t.spare(old[i].spares[j])
		}
	}
}

// Filter forgets all nodes whose addresses are not kept: a new filter is in force.
func (t *Table) Filter(keep func(netip.AddrPort) bool, now clock.Time) {
	for i := range t.buckets {
		b := &t.buckets[i]
		b.spares = sift(b.spares, keep)
		b.nodes = sift(b.nodes, keep)
		t.fill(i, now)
	}
}

func sift(es []entry, keep func(netip.AddrPort) bool) []entry {
	out := es[:0]
	for i := range es {
		if keep(es[i].at.addrPort()) {
			out = append(out, es[i])
		}
	}
	return out
}

// NextRefresh is a target to look up because the bucket around it has not changed for
// 15 minutes: "This is done by picking a random ID in the range of the bucket and
// performing a find_nodes search on it." The bucket then counts as changed.
func (t *Table) NextRefresh(rnd *rand.Rand, now clock.Time) (ID, bool) {
	i := t.stalest()
	if now < t.RefreshDue() {
		return ID{}, false
	}
	t.buckets[i].changed = stampOf(now)
	if i == len(t.buckets)-1 && rnd.IntN(2) == 0 {
		i++ // the last bucket's range includes our own half
	}
	return RandomIn(t.own, i, rnd), true
}

// RefreshDue is when NextRefresh has something to do.
func (t *Table) RefreshDue() clock.Time {
	return t.buckets[t.stalest()].changed.time().Add(GoodFor)
}

func (t *Table) stalest() int {
	k := 0
	for i := range t.buckets {
		if t.buckets[i].changed < t.buckets[k].changed {
			k = i
		}
	}
	return k
}
