package choker

import (
	"cmp"
	"slices"
)

// ranked is the scheme of BEP 3, with any measure of merit: the best get regular
// slots, the remaining slots are optimistic. An optimistic slot lasts a Rotation, if
// others wait. It owns its rounds and the queue.
type ranked struct {
	rounds
	queue
	scratch []cand
}

// decide fills the slots in passes: who must not be choked yet, who has merit, who
// is being tried out, who is to be tried out next. Merit is what a peer earns a
// regular slot by; 0 earns none.
func (r *ranked) decide(v *View, out []Grant, merit func(*Peer) int64) ([]Grant, Duration) {
	due := r.due(v.Now)
	t := newTurn(v, out, r.scratch)
	t.rank(merit)
	regular := t.free - optimisticOf(t.free)
	t.fill(func(c *cand) bool {
		keep := c.Unchoked && (!due || t.held(c.Peer) < Round)
		if keep && c.merit > 0 {
			regular--
		}
		return keep
	})
	t.fill(func(c *cand) bool {
		regular -= truth(c.merit > 0)
		return c.merit > 0 && regular >= 0
	})
	t.goOn()
	r.try(t)
	t.fill(func(*cand) bool { return true }) // nobody else waits
	t.keepQuiet()
	r.note(t)
	r.scratch = t.release()
	return t.out, r.again(v)
}

// optimisticOf is how many of the slots are not given by merit: one of four, as in
// BEP 3, more of many; the only slot goes by merit if anybody has it.
func optimisticOf(slots int) int {
	if slots < 2 {
		return 0
	}
	return max(1, slots/5)
}

// rank sorts by class first, then merit; of equals those first that have a slot.
func (t *turn) rank(merit func(*Peer) int64) {
	for i := range t.list {
		t.list[i].merit = merit(t.list[i].Peer)
	}
	slices.SortFunc(t.list, func(a, b cand) int {
		if a.merit != b.merit && a.Class == b.Class {
			return cmp.Compare(b.merit, a.merit)
		}
		return cmp.Or(cmp.Compare(b.Class, a.Class), truth(b.Unchoked)-truth(a.Unchoked))
	})
}

// goOn leaves those unchoked that have not been tried out for long enough, the
// latest first: a peer that has just lost its regular slot must not take theirs.
func (t *turn) goOn() {
	var tried []*cand
	for i := range t.list {
		if c := &t.list[i]; c.Unchoked && !c.taken && t.held(c.Peer) < Rotation {
			tried = append(tried, c)
		}
	}
	slices.SortStableFunc(tried, func(a, b *cand) int { return cmp.Compare(b.Changed, a.Changed) })
	for _, c := range tried {
		t.take(c)
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// try fills the slots that are free from those that wait.
func (r *ranked) try(t *turn) {
	var waiting []*cand
	for i := range t.list {
		if c := &t.list[i]; !c.Unchoked && !c.taken {
			waiting = append(waiting, c)
		}
	}
	for len(waiting) > 0 && t.free > 0 {
		k := 0
		if t.free < len(waiting) {
			k = r.draw(t.v, waiting)
		}
		t.take(waiting[k])
		waiting = slices.Delete(waiting, k, k+1)
	}
}

// draw picks who is tried out next: "new connections are three times as likely to
// start as the current optimistic unchoke as anywhere else in the rotation" (BEP 3).
// Who has waited for longer than a whole rotation of all goes first: chance alone
// promises nobody anything.
func (r *ranked) draw(v *View, waiting []*cand) int {
	oldest, longest, tickets := 0, Duration(-1), 0
	for k, c := range waiting {
		if w := r.waited(c.ID, v.Now); w > longest {
			oldest, longest = k, w
		}
		tickets += ticketsOf(v, c)
	}
	if longest > Rotation*Duration(len(waiting)+1) {
		return oldest
	}
	n := v.Rand.IntN(tickets)
	for k, c := range waiting {
		if n -= ticketsOf(v, c); n < 0 {
			return k
		}
	}
	return 0 // not reached: n is less than the sum
}

func ticketsOf(v *View, c *cand) int {
	if v.Now.Sub(c.Since) < NewFor {
		return 3
	}
	return 1
}
