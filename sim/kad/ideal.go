package kad

import (
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/shoal-bt/shoal/dht"
)

// ideal is Kademlia as the papers analyse it (Maymounkov and Mazières 2002; Cai and
// Devroye, arXiv 1309.5866): every node's table has K random nodes of each bucket, or
// all, every query is answered, and lookups go in rounds of alpha queries. It is the
// measure for the real thing, with the same ids.
type ideal struct {
	ids []dht.ID // sorted
	rnd *rand.Rand
}

func newIdeal(ids []dht.ID, rnd *rand.Rand) *ideal {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b dht.ID) int { return slices.Compare(a[:], b[:]) })
	return &ideal{ids: ids, rnd: rnd}
}

// span returns the range of ids that share at least bits leading bits with prefix.
func (m *ideal) span(prefix dht.ID, bits int) (lo, hi int) {
	lo = sort.Search(len(m.ids), func(i int) bool {
		id := m.ids[i]
		return dht.CommonPrefix(id, prefix) >= bits || slices.Compare(id[:], prefix[:]) > 0
	})
	hi = lo + sort.Search(len(m.ids)-lo, func(i int) bool { return dht.CommonPrefix(m.ids[lo+i], prefix) < bits })
	return lo, hi
}

// bucket returns the range of ids that share exactly bits leading bits with id.
func (m *ideal) bucket(id dht.ID, bits int) (lo, hi int) {
	return m.span(dht.RandomIn(id, bits, m.rnd), bits+1)
}

// table draws a node's table; each entry is an index into ids.
func (m *ideal) table(id dht.ID) []int {
	var out []int
	for bits := 0; bits < dht.IDBits; bits++ {
		if lo, hi := m.span(id, bits); hi-lo <= 1 {
			break
		}
		lo, hi := m.bucket(id, bits)
		if hi-lo <= dht.K {
			for i := lo; i < hi; i++ {
				out = append(out, i)
			}
			continue
		}
		first := len(out)
		for len(out) < first+dht.K {
			if i := lo + m.rnd.IntN(hi-lo); !slices.Contains(out[first:], i) {
				out = append(out, i)
			}
		}
	}
	return out
}

// closest returns the n entries that are closest to a target.
func (m *ideal) closest(of []int, target dht.ID, n int) []int {
	slices.SortFunc(of, func(a, b int) int { return dht.Compare(target, m.ids[a], m.ids[b]) })
	return of[:min(n, len(of))]
}

// nearest returns the n nodes that are closest to a target, of all.
func (m *ideal) nearest(target dht.ID, n int) []int {
	bits := 0
	for bits < dht.IDBits {
		lo, hi := m.span(target, bits+1)
		if hi-lo < n {
			break
		}
		bits++
	}
	lo, hi := m.span(target, bits)
	all := make([]int, 0, hi-lo)
	for i := lo; i < hi; i++ {
		all = append(all, i)
	}
	return m.closest(all, target, n)
}

// rounds is how many rounds of alpha queries a node needs until it has learned of the
// node that is closest to the target; 0 if it stands in its own table.
func (m *ideal) rounds(from dht.ID, target dht.ID, alpha int) int {
	goal := m.nearest(target, 1)[0]
	if m.ids[goal] == from {
		goal = m.nearest(target, 2)[1]
	}
	known := m.closest(m.table(from), target, dht.K)
	asked := map[int]bool{}
	for round := 0; ; round++ {
		if slices.Contains(known, goal) {
			return round
		}
		n := 0
		for _, i := range slices.Clone(known) {
			if n == alpha || asked[i] {
				continue
			}
			asked[i] = true
			n++
			for _, j := range m.closest(m.table(m.ids[i]), target, dht.K) {
				if m.ids[j] != from && !slices.Contains(known, j) {
					known = append(known, j)
				}
			}
		}
		if n == 0 {
			return -1 // it will never learn
		}
		known = m.closest(known, target, len(known))
	}
}
