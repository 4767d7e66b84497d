package dht

import "net/netip"

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
	wary     bool // there are signs of liars
	// reserve are further nodes that we know ourselves, for when the closest ones
	// have led nowhere or into a neighbourhood of liars.
	reserve []Contact
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

// next decides the next step.
func (l *lookup) next() lookupState {
	if l.over {
		return finished{}
	}
	if !l.wary && l.suspects() {
		l.beWary()
	}
	v := l.survey()
	if v.pick == nil && v.awaited == 0 && l.lookCloser(&v) {
		v = l.survey()
	}
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

// lookCloser has another look at a lookup that seems to be at its end, and reports
// whether there is more to do: it has led nowhere, or to a ring.
func (l *lookup) lookCloser(v *survey) bool {
	switch {
	case l.wary:
		return false
	case v.found < K:
		return l.callReserve()
	case len(l.circle().upright) < K-1:
		l.beWary()
		return true
	}
	return false
}

// beWary makes the lookup one among liars: it looks for more nodes, at once, from more
// sides.
func (l *lookup) beWary() {
	l.wary = true
	l.callReserve()
}

func (l *lookup) callReserve() bool {
	more := l.reserve
	l.reserve = nil
	l.start(more)
	return len(more) > 0
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

// counts reports whether a node has its place among the K closest. BEP 42:
// "Non-compliant nodes also must not be considered to have sent a valid response when
// checking the termination condition of a lookup."
func (c *candidate) counts() bool { return c.state == answered && c.secure && !c.lies() }

// closest returns the nodes that the lookup was for, the closest first.
func (l *lookup) closest() []*candidate {
	v := survey{wary: l.wary}
	g := l.circle()
	var out []*candidate
	for _, c := range l.nodes {
		if !c.counts() || v.complete() {
			continue
		}
		out = append(out, c)
		v.found++
		if g.places(c) {
			v.placed++
		}
	}
	return out
}
