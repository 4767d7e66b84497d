package picker

import (
	"slices"
	"time"
)

// rarest asks for the pieces that the fewest peers have, so that no piece dies out
// and everybody has something to trade. Pieces already begun come before rarer
// ones: a complete piece can be verified and traded, two halves cannot. It owns the
// board and the pace of the fastest peer.
type rarest struct {
	board
	pace pace
}

const (
	// randomFirst is how many pieces are picked at random at the start, owned and
	// begun. The rarest piece has few sources and comes slowly; the first pieces
	// should come quickly, to have something to trade.
	randomFirst = 4
	// maxSuggested is how many suggestions of a peer are looked at, the newest.
	maxSuggested = 16
)

// Order implements Strategy.
func (r *rarest) Order(f Facts, p *Peer, offer func(int32, Hint) bool) {
	slow := r.pace.slow(f.Now(), p.Rate)
	if r.begin(p) {
		v := newVisit(f, p, offer)
		switch {
		case p.Parole:
			r.parole(v)
		case p.Snubbed:
			r.snubbed(v)
		case slow:
			r.slow(v)
		default:
			r.normal(v)
		}
	}
	r.end(f)
}

// normal: deadlines, then by priority what is begun, what the peer suggests, what
// is rare.
func (r *rarest) normal(v *visit) {
	if !r.due.offer(v) {
		return
	}
	hints := v.p.Suggested[max(0, len(v.p.Suggested)-maxSuggested):]
	for prio := Highest; prio >= Lowest; prio-- {
		if !v.forward(r.partial(prio), nil) || !r.suggested(v, hints, prio) || !r.fresh(v, prio, hints) {
			return
		}
	}
}

// fresh goes through the pieces that nobody has begun.
func (r *rarest) fresh(v *visit, prio uint8, but []int32) bool {
	if v.f.Owned()+r.begun < randomFirst {
		return v.scattered(r.untouched(prio), but)
	}
	return v.forward(r.untouched(prio), but)
}

// suggested offers what the peer would like to send (BEP 6: "all of the suggested
// pieces are equally appropriate"), if it is untouched and of this priority.
func (r *rarest) suggested(v *visit, hints []int32, prio uint8) bool {
	for k, i := range hints {
		if r.standsIn(i, prio) && !slices.Contains(hints[:k], i) && !v.try(i) {
			return false
		}
	}
	return true
}

func (r *rarest) standsIn(i int32, prio uint8) bool {
	return r.open.Has(i) && r.at[i].class == class(2*(7-prio)+1)
}

// slow: a peer much slower than others may help with pieces that are begun, but
// what it begins itself is common, for it will hold it for long.
func (r *rarest) slow(v *visit) {
	for prio := Highest; prio >= Lowest; prio-- {
		if !v.forward(r.partial(prio), nil) || !v.backward(r.untouched(prio)) {
			return
		}
	}
	r.due.offer(v)
}

// snubbed: a peer that owes us blocks comes from the other end, where it does not
// collide with those that deliver; nothing that somebody waits for hangs on it.
func (r *rarest) snubbed(v *visit) {
	for prio := Highest; prio >= Lowest; prio-- {
		if !v.backward(r.untouched(prio)) || !v.backward(r.partial(prio)) {
			return
		}
	}
	r.due.offer(v)
}

// parole: whole pieces that nobody has begun, deadlines last.
func (r *rarest) parole(v *visit) {
	for prio := Highest; prio >= Lowest; prio-- {
		if !r.fresh(v, prio, nil) {
			return
		}
	}
	r.due.offer(v)
}

// pace remembers how fast the fastest peer is, and forgets by half each half
// minute.
type pace struct {
	best int64 // bytes per second
	at   Time  // when best was last halved
}

const (
	paceHalves = Time(30 * time.Second)
	slowShare  = 16 // slow is less than a sixteenth of the best
)

func (s *pace) slow(now Time, rate int64) bool {
	for s.best > 0 && now-s.at >= paceHalves {
		s.best /= 2
		s.at += paceHalves
	}
	if rate >= s.best {
		s.best, s.at = rate, now
	}
	return rate > 0 && rate < s.best/slowShare
}
