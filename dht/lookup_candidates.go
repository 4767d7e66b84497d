package dht

import (
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// candidate is one node that a lookup knows of. Owner: the lookup.
type candidate struct {
	Contact
	unnamed bool // id not known: a bootstrap node; it sorts behind all others
	secure  bool // its id agrees with its address (BEP 42), or need not
	state   candidateState
	subnet  netip.Prefix // zero: local, then the address alone counts
	hops    uint8
	token   []byte
	extra   any // what the driver keeps of the reply

	// As one that others have named, and as one that names others.
	root  bool // we know it ourselves
	by    []*candidate
	named int16 // how many candidates it has named
	open  int16 // of them: asked, and neither replied nor overdue
	good  int16 // replied
	bad   int16 // failed or somebody else; slow so far
	mad   bool  // its reply was nonsense by itself
	reach ID    // the farthest node that it has named
	few   bool  // it has named so few that it can't know of more
	sees  int16 // scratch of foreseen
}

type candidateState uint8

const (
	fresh   candidateState = iota
	asked                  // in flight
	slow                   // in flight, no longer counted against alpha
	overdue                // in flight, no longer waited for
	answered
	failed
)

// inFlight reports whether a reply may still come.
func (s candidateState) inFlight() bool { return s == asked || s == slow || s == overdue }

// start adds the nodes that we know ourselves: of the table, of earlier lookups.
func (l *lookup) start(known []Contact) {
	for _, k := range known {
		if c := l.add(k, 0); c != nil {
			c.root = true
		}
	}
}

// startAt adds addresses whose ids are not known.
func (l *lookup) startAt(addrs []netip.AddrPort) {
	for _, a := range addrs {
		if l.known(a) || len(l.nodes) >= maxCandidates {
			continue
		}
		c := newCandidate(Contact{Addr: a}, 0)
		c.unnamed, c.root, c.secure = true, true, true
		l.nodes = append(l.nodes, c)
	}
}

func (l *lookup) known(a netip.AddrPort) bool {
	return slices.ContainsFunc(l.nodes, func(c *candidate) bool { return c.Addr == a })
}

func newCandidate(k Contact, hops uint8) *candidate {
	c := &candidate{Contact: k, hops: hops}
	if !ipclass.IsLocal(k.Addr.Addr()) {
		c.subnet = Subnet(k.Addr.Addr())
	}
	return c
}

// name gives a bootstrap node its place.
func (l *lookup) name(c *candidate, id ID) {
	at := slices.Index(l.nodes, c)
	l.nodes = slices.Delete(l.nodes, at, at+1)
	c.ID, c.unnamed = id, false
	c.secure = l.anyID || Secure(id, c.Addr.Addr())
	at, _ = l.place(id)
	l.nodes = slices.Insert(l.nodes, at, c)
}

// place returns where an id belongs among the named candidates.
func (l *lookup) place(id ID) (int, bool) {
	return slices.BinarySearchFunc(l.nodes, id, func(c *candidate, id ID) int {
		if c.unnamed {
			return 1
		}
		return Compare(l.target, c.ID, id)
	})
}

// learn adds the contacts that a node has named.
func (l *lookup) learn(by *candidate, nodes []Contact) {
	closest := l.first()
	nodes = nodes[:min(len(nodes), maxNamed)]
	if l.nonsense(by, nodes) {
		by.mad = true
		return
	}
	by.few = len(nodes) < K/2
	for i, k := range nodes {
		if i == 0 || Closer(l.target, by.reach, k.ID) {
			by.reach = k.ID
		}
		if c := l.add(k, by.hops+1); c != nil {
			c.namedBy(by)
		}
	}
	l.stale = closest != nil && l.first() == closest
}

// first returns the closest secure candidate.
func (l *lookup) first() *candidate {
	for _, c := range l.nodes {
		if c.secure && !c.unnamed {
			return c
		}
	}
	return nil
}

// add returns the candidate of a contact, which it makes if need be; nil if the
// contact is of no use or there is no room.
func (l *lookup) add(k Contact, hops uint8) *candidate {
	if k.ID == l.self || !usable(k.Addr) || l.allow != nil && !l.allow(k.Addr) {
		return nil
	}
	at, _ := l.place(k.ID)
	for i := at; i < len(l.nodes) && l.nodes[i].ID == k.ID && !l.nodes[i].unnamed; i++ {
		if l.nodes[i].Addr == k.Addr {
			return l.nodes[i]
		}
	}
	c := newCandidate(k, hops)
	c.secure = l.anyID || Secure(k.ID, k.Addr.Addr())
	if !c.secure && !l.askInsecure || l.crowded(c) || !l.makeRoom(at) {
		return nil
	}
	l.nodes = slices.Insert(l.nodes, at, c)
	return c
}

// crowded reports whether enough candidates of the same address or subnet wait
// already. More than one may, since any node can name a stranger's address under
// an id of its choice; but only one of them gets a place, see blocked.
func (l *lookup) crowded(c *candidate) bool {
	n := 0
	for _, o := range l.nodes {
		if c.near(o) {
			n++
		}
	}
	return n >= maxPerSubnet
}

// near reports whether two candidates can't both have a place: they are of the same
// subnet or, in local networks, the same node under two ids.
func (c *candidate) near(o *candidate) bool {
	return c.Addr == o.Addr || c.subnet == o.subnet && c.subnet.IsValid()
}

// makeRoom keeps the number of candidates bounded: the farthest one that has not been
// asked makes way for a closer one.
func (l *lookup) makeRoom(at int) bool {
	if len(l.nodes) < maxCandidates {
		return true
	}
	for i := len(l.nodes) - 1; i >= at; i-- {
		if c := l.nodes[i]; c.state == fresh && !c.root {
			c.unnamedBy()
			l.nodes = slices.Delete(l.nodes, i, i+1)
			return true
		}
	}
	return false
}
