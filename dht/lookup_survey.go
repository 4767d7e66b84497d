package dht

import "slices"

// survey is what a look over the candidates has found.
type survey struct {
	wary    bool       // as the lookup is
	found   int        // nodes that replied and are of the result
	placed  int        // of them: have a place, if it is wary
	running int        // in flight, not slow
	awaited int        // in flight and closer than the last that counts, not overdue
	pick    *candidate // the closest that may be asked now
	second  *candidate // the closest whose namers have a contact in flight, or a bad one
	doubt   *candidate // the closest that nobody with credit has named
}

// complete reports whether what lies beyond is of no interest: the result has its K
// nodes. Among liars it has twice as many, not counted those that have no place: the
// honest know the liars beside them, and name half as many of each other.
func (v *survey) complete() bool {
	if v.wary {
		return v.placed >= 2*K || v.found >= maxResult
	}
	return v.found == K
}

func (l *lookup) survey() survey {
	v := survey{wary: l.wary}
	var g circle
	if l.wary {
		g = l.circle()
	}
	for _, c := range l.nodes {
		if c.state == asked {
			v.running++
		}
		if v.complete() {
			continue
		}
		switch {
		case c.counts():
			v.found++
			if g.places(c) {
				v.placed++
			}
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
	case v.second != nil && !v.complete():
		return v.second
	}
	// What is left is on nobody's word. But the honest have dead contacts too.
	c, most := v.second, maxLenient
	if c == nil {
		c = v.doubt
	}
	if v.found < K {
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
	case v.wary:
		return 2 * K
	case l.stale && v.found > 0:
		return max(l.alpha, K)
	}
	return l.alpha
}
