package dht

import (
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// An iterative lookup (BEP 5: "The original node iteratively queries nodes that are
// closer to the target infohash until it cannot find any closer nodes") as a machine:
// tell it what has happened, and it says what to do next.
//
//	state := l.advance(replied{c, contacts, token})
//	for {
//		switch s := state.(type) {
//		case askNode:  send a query to s.c, then state = l.advance(proceed{})
//		case waiting:  nothing to do until something happens
//		case finished: l.closest()
//		}
//	}
//
// It knows neither time nor network: whoever drives it says when a query has become
// slow (another one may start in its place), when overdue (the end need not wait for
// it) and when it has failed. Even then a reply is welcome.
//
// Half of the nodes may lie. What a node says is worth what comes of it, see
// lookup_trust.go.

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

// Events of a lookup.
type lookupEvent interface{ lookupEvent() }

type (
	// proceed asks for the next step when nothing has happened.
	proceed struct{}
	// replied brings the answer of the node that was asked, from its address and
	// under the id that it was known by. Nodes may be views: they are copied.
	replied struct {
		c     *candidate
		id    ID // matters for an unnamed one
		nodes []Contact
		token []byte
	}
	// gotSlow and gotOverdue say how long a query has been out; gaveUp that nothing
	// will come of it: no answer, an error, or the answer of some other id.
	gotSlow    struct{ c *candidate }
	gotOverdue struct{ c *candidate }
	gaveUp     struct{ c *candidate }
)

func (proceed) lookupEvent()    {}
func (replied) lookupEvent()    {}
func (gotSlow) lookupEvent()    {}
func (gotOverdue) lookupEvent() {}
func (gaveUp) lookupEvent()     {}

// States of a lookup.
type lookupState interface{ lookupState() }

type (
	askNode  struct{ c *candidate } // ask it, then proceed
	waiting  struct{}
	finished struct{}
)

func (askNode) lookupState()  {}
func (waiting) lookupState()  {}
func (finished) lookupState() {}

// lookup is the state of one lookup.
type lookup struct {
	target ID
	self   ID
	alpha  int
	// anyID takes ids that disagree with their addresses for good. Otherwise such
	// nodes are asked only with askInsecure, for what they may have stored.
	anyID       bool
	askInsecure bool
	// size is the logarithm to base 2 of how many nodes the network is thought to
	// have; 0: no idea.
	size  int
	allow func(netip.AddrPort) bool

	nodes    []*candidate // by distance
	over     bool
	queried  int
	replies  int
	insecure int  // insecure ones asked
	lenient  int  // asked though nobody trusted has named them
	stale    bool // the last reply brought nothing closer than what was known
}

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

// advance takes an event and returns what to do.
func (l *lookup) advance(e lookupEvent) lookupState {
	switch e := e.(type) {
	case replied:
		l.onReply(e)
	case gotSlow:
		if e.c.state == asked {
			e.c.settle(slow)
		}
	case gotOverdue:
		if e.c.state == asked || e.c.state == slow {
			e.c.settle(overdue)
		}
	case gaveUp:
		if e.c.state.inFlight() {
			e.c.settle(failed)
		}
	}
	return l.next()
}

// finish takes a last event and ends the lookup: what it was for has been found.
func (l *lookup) finish(e lookupEvent) {
	if e, ok := e.(replied); ok {
		l.onReply(e)
	}
	l.over = true
}

// reset forgets what has happened.
func (l *lookup) reset() {
	*l = lookup{target: l.target, self: l.self, alpha: l.alpha, anyID: l.anyID,
		askInsecure: l.askInsecure, allow: l.allow, size: l.size}
}

func (l *lookup) onReply(e replied) {
	c := e.c
	if l.over || !c.state.inFlight() {
		return
	}
	c.settle(answered)
	c.token = e.token
	l.replies++
	follow := c.secure // an insecure one is asked for peers only, not for the way
	if c.unnamed {
		l.name(c, e.id)
	}
	if follow {
		l.learn(c, e.nodes)
	}
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
	for _, k := range nodes {
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

// next decides the next step.
func (l *lookup) next() lookupState {
	if l.over {
		return finished{}
	}
	v := l.survey()
	if c := l.choose(&v); c != nil {
		l.ask(c)
		return askNode{c}
	}
	if v.awaited > 0 {
		return waiting{}
	}
	l.over = true
	return finished{}
}

func (l *lookup) ask(c *candidate) {
	c.state = asked
	for _, r := range c.by {
		r.open++
	}
	l.queried++
	if !c.secure {
		l.insecure++
	}
}

// survey is what a look over the candidates has found.
type survey struct {
	want    int        // how many closest nodes are looked for
	counted int        // nodes that replied and count among them
	running int        // in flight, not slow
	awaited int        // in flight and closer than the last that counts, not overdue
	pick    *candidate // the closest that may be asked now
	second  *candidate // the closest whose namers have a contact in flight, or a bad one
	doubt   *candidate // the closest that nobody with credit has named
}

func (l *lookup) survey() survey {
	v := survey{want: l.want()}
	for _, c := range l.nodes {
		if c.state == asked {
			v.running++
		}
		if v.counted == v.want {
			continue
		}
		switch {
		case c.counts():
			v.counted++
			l.audit(&v, c)
		case c.state == asked || c.state == slow:
			v.awaited++
		case c.state == fresh:
			l.consider(&v, c)
		}
	}
	return v
}

// consider notes a candidate that has not been asked yet.
func (l *lookup) consider(v *survey, c *candidate) {
	switch {
	case v.pick != nil || l.blocked(c):
	case !c.secure && l.insecure >= maxInsecure:
	case c.named1st():
		v.pick = c
	case v.second == nil && c.trusted():
		v.second = c
	case v.doubt == nil:
		v.doubt = c
	}
}

// blocked reports whether another node of the same subnet has a place, or is being
// tried for it.
func (l *lookup) blocked(c *candidate) bool {
	return slices.ContainsFunc(l.nodes, func(o *candidate) bool {
		return o != c && (o.state.inFlight() || o.state == answered) && o.near(c)
	})
}

// choose returns whom to ask now, or nil.
func (l *lookup) choose(v *survey) *candidate {
	switch {
	case l.queried >= maxQueried || v.running >= l.width(v):
		return nil
	case v.pick != nil:
		return v.pick
	case v.second != nil && v.counted < v.want:
		return v.second
	}
	// What is left is on nobody's word. But the honest have dead contacts too.
	c, most := v.second, maxLenient
	if c == nil {
		c = v.doubt
	}
	if v.counted < K {
		most = maxDoubts
	}
	if c == nil || l.lenient >= most {
		return nil
	}
	l.lenient++
	return c
}

// width is how many queries may be in flight. At the end, when replies bring nothing
// closer, what is left is asked all at once.
func (l *lookup) width(v *survey) int {
	switch {
	case v.want > K:
		return 2 * K
	case l.stale && v.counted > 0:
		return max(l.alpha, K)
	}
	return l.alpha
}

// counts reports whether a node has its place among the K closest. BEP 42:
// "Non-compliant nodes also must not be considered to have sent a valid response when
// checking the termination condition of a lookup."
func (c *candidate) counts() bool { return c.state == answered && c.secure && !c.lies() }

// closest returns the nodes that the lookup was for, the closest first.
func (l *lookup) closest() []*candidate {
	want := l.want()
	out := make([]*candidate, 0, want)
	for _, c := range l.nodes {
		if c.counts() && len(out) < want {
			out = append(out, c)
		}
	}
	return out
}
