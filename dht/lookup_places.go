package dht

import "slices"

// Who has a place among the closest. Liars may be nodes like others, with ids of their
// own and an answer for everybody, except that they name each other only. Nobody can
// tell from one of their replies. But the nodes closest to a target know each other:
// each has the others in buckets that are not full. Where some of them know just each
// other, while the rest know everybody, those are a ring. Its members are not called
// liars, for they may as well be nodes that the rest has joined a moment ago: they
// stay in the result, and others are looked for beside them.

// farBits is by how many bits a node must be farther from the target than the K closest
// for that it can't know most of them: each of its buckets has K of 64 nodes or more.
const farBits = 3

// circle are the K nodes closest to the target that have answered and do not lie, and
// those of them who belong to no ring. With fewer than K there is nothing to be told.
type circle struct {
	near, upright []*candidate
}

func (l *lookup) circle() circle {
	var g circle
	for _, c := range l.nodes {
		if c.counts() && len(g.near) < K {
			g.near = append(g.near, c)
		}
	}
	if len(g.near) < K {
		return g
	}
	knows := l.acquaintances(g.near)
	for i, c := range g.near {
		if !ring(knows, i) {
			g.upright = append(g.upright, c)
		}
	}
	if len(g.upright) == K && l.foreseen(g.near) {
		g.upright = nil
	}
	return g
}

// acquaintances returns of each of the nodes, as bits, whom of them it has named,
// including itself and those that its reply had no room for.
func (l *lookup) acquaintances(near []*candidate) (knows [K]uint32) {
	for i, c := range near {
		for k, x := range near {
			if c == x || !l.omits(c, x) {
				knows[i] |= 1 << k
			}
		}
	}
	return knows
}

// ring reports whether a node knows just some, and those know just the same ones.
func ring(knows [K]uint32, i int) bool {
	for k := range knows {
		if knows[i]&(1<<k) != 0 && knows[k] != knows[i] {
			return false
		}
	}
	return knows[i] != 1<<K-1
}

// omits reports whether c has not named x though it has named nodes farther away.
func (l *lookup) omits(c, x *candidate) bool {
	return (c.few || Closer(l.target, x.ID, c.reach)) && !slices.Contains(x.by, c)
}

// foreseen reports whether a node far from the target has known those close to it: a
// node's table has K of the many that are there. Then who named them has picked them.
func (l *lookup) foreseen(near []*candidate) bool {
	edge := CommonPrefix(l.target, near[len(near)-1].ID)
	for _, x := range near {
		for _, r := range x.by {
			r.sees = 0
		}
	}
	for _, x := range near {
		for _, r := range x.by {
			if r.sees++; r.sees >= K-1 && CommonPrefix(l.target, r.ID)+farBits <= edge {
				return true
			}
		}
	}
	return false
}

// places reports whether a node has a place: one of the closest if it belongs to no
// ring, another one if it has named somebody who belongs to none.
func (g *circle) places(c *candidate) bool {
	switch {
	case len(g.near) < K:
		return true
	case slices.Contains(g.near, c):
		return slices.Contains(g.upright, c)
	}
	return slices.ContainsFunc(g.upright, func(x *candidate) bool { return slices.Contains(x.by, c) })
}
