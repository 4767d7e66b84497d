package dht

import (
	"slices"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// Trust within one lookup. Every candidate remembers who has named it, and whoever
// names nodes is judged by what became of them. One that has named nothing but dead or
// false nodes is not followed any further, and has no place among the closest. Since
// each has its own small credit, and contacts that anybody trusted has named go ahead,
// no number of liars can occupy a lookup for long; the honest nodes beside them are
// paths that they have no part in.
const (
	// credit is how many contacts of a node are tried before one has replied, and
	// creditStep how many more each one that replies is worth.
	credit, creditStep = 3, 2
	// With liarBad false contacts or more, and liarRatio times as many as true ones,
	// a node lies. With 30 % of honest contacts dead, three in a row are seen now
	// and then, but one of the others soon clears the name.
	liarBad, liarRatio = 3, 8
	// If one in so many lies, the neighbourhood is taken to be hostile.
	liarShare = 5
	// An id that shares so many more bits with the target than the network is large
	// is there by chance in one lookup of 2^10.
	improbable = 10

	maxResult     = 3 * K // nodes in the result
	maxCandidates = 200   // kept by one lookup
	maxQueried    = 160   // asked by one lookup
	maxNamed      = 16    // contacts read of one reply: two buckets
	maxBy         = 64    // of those who have named a candidate, remembered
	maxPerSubnet  = 3     // candidates of one subnet, of which one gets a place
	maxInsecure   = 8     // nodes asked whose ids disagree with their addresses
	maxLenient    = 8     // asked on nobody's word once there are K
	maxDoubts     = 40    // before
)

// namedBy notes that r has named c.
func (c *candidate) namedBy(r *candidate) {
	if c == r || len(c.by) >= maxBy || slices.Contains(c.by, r) {
		return
	}
	c.by = append(c.by, r)
	r.named++
	switch {
	case c.state == answered:
		r.good++
	case c.state == asked:
		r.open++
	case c.state != fresh:
		r.bad++
	}
}

// settle brings c into a state that says more of those who have named it.
func (c *candidate) settle(s candidateState) {
	for _, r := range c.by {
		if c.state == asked {
			r.open--
		} else {
			r.bad--
		}
		if s == answered {
			r.good++
		} else {
			r.bad++
		}
	}
	c.state = s
}

// unnamedBy takes a candidate that has not been asked out of the others' accounts.
func (c *candidate) unnamedBy() {
	for _, r := range c.by {
		r.named--
	}
}

// named1st reports whether we have named c, or somebody who has no more contacts
// under way or gone bad than good ones allow: everybody's first contact goes before
// anybody's second.
func (c *candidate) named1st() bool {
	return c.root || slices.ContainsFunc(c.by, func(r *candidate) bool { return r.creditLeft(1) })
}

// trusted reports whether we, or somebody with credit left, have named c.
func (c *candidate) trusted() bool {
	return c.root || slices.ContainsFunc(c.by, func(r *candidate) bool { return r.creditLeft(credit) })
}

func (c *candidate) creditLeft(credit int16) bool {
	return !c.lies() && c.open+c.bad < credit+creditStep*c.good
}

// audit sees to it that a node which is to count has named somebody who exists: a
// liar beside the target would take an honest node's place. It may bring contacts up
// that lie too far away to be asked otherwise.
func (l *lookup) audit(v *survey, c *candidate) {
	if c.good > 0 {
		return
	}
	if c.open > 0 {
		v.awaited++
	}
	if v.pick == nil && c.named > c.bad+c.open {
		v.pick = l.proof(c)
	}
}

// proof returns the closest contact of c that has not been asked.
func (l *lookup) proof(c *candidate) *candidate {
	if !c.creditLeft(credit) {
		return nil
	}
	for _, o := range l.nodes {
		if o.state == fresh && o.secure && slices.Contains(o.by, c) && !l.blocked(o) {
			return o
		}
	}
	return nil
}

// suspects reports whether so many liars have been found out that there will be others
// who have not.
func (l *lookup) suspects() bool {
	lies := 0
	for _, c := range l.nodes {
		if c.state == answered && c.lies() {
			lies++
		}
	}
	return lies >= 2 && liarShare*lies >= l.replies
}

// lies reports whether what c has named shows that it is not to be believed.
func (c *candidate) lies() bool {
	return c.mad || c.bad >= liarBad && c.bad > liarRatio*c.good
}

// nonsense reports whether a reply condemns itself: most of its contacts can't be, are
// all in one place, or closer to the target than anybody could be by chance.
func (l *lookup) nonsense(by *candidate, nodes []Contact) bool {
	if len(nodes) < 4 || ipclass.IsLocal(by.Addr.Addr()) {
		return false
	}
	wrong, insecure, chosen := 0, 0, 0
	for i, k := range nodes {
		same := slices.ContainsFunc(nodes[:i], func(o Contact) bool {
			return o.Addr.Addr() == k.Addr.Addr() || o.ID == k.ID
		})
		switch {
		case same || !usable(k.Addr) || ipclass.IsLocal(k.Addr.Addr()):
			wrong++
		case !l.anyID && !Secure(k.ID, k.Addr.Addr()):
			insecure++
		case l.size > 0 && k.ID != l.target && CommonPrefix(k.ID, l.target) > l.size+improbable:
			chosen++
		}
	}
	// Many nodes in the wild have ids that BEP 42 does not allow: not all are liars.
	return 2*wrong > len(nodes) || wrong+insecure+1 >= len(nodes) || chosen > 1
}
