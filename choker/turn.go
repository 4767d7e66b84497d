package choker

// turn is one decision in the making: who may get a slot, who has got one.
type turn struct {
	v    *View
	list []cand // everybody that wants a slot
	out  []Grant
	free int // slots left
}

// cand is a peer that wants a slot.
type cand struct {
	*Peer
	merit     int64 // what the list is sorted by
	taken     bool  // it has got one
	dismissed bool  // it must leave the one that it has
}

// newTurn lists the candidates in random order, so that sorting leaves ties at
// random. It uses the memory of scratch.
func newTurn(v *View, out []Grant, scratch []cand) *turn {
	t := &turn{v: v, out: out, list: scratch[:0], free: max(int(v.Slots), 0)}
	for i := range v.Peers {
		if p := &v.Peers[i]; p.wants() {
			t.list = append(t.list, cand{Peer: p})
		}
	}
	v.Rand.Shuffle(len(t.list), func(i, j int) { t.list[i], t.list[j] = t.list[j], t.list[i] })
	return t
}

// take gives c a slot if one is free and it has none yet.
func (t *turn) take(c *cand) bool {
	if t.free == 0 || c.taken {
		return false
	}
	c.taken = true
	t.give(c.Peer)
	return true
}

func (t *turn) give(p *Peer) {
	t.free--
	t.out = append(t.out, Grant{ID: p.ID, Weight: 1 + uint16(p.Class)})
}

// fill gives slots to all candidates that qualify, in the order of the list.
func (t *turn) fill(qualifies func(*cand) bool) {
	for i := range t.list {
		if c := &t.list[i]; t.free > 0 && !c.taken && qualifies(c) {
			t.take(c)
		}
	}
}

// held is how long a peer has had the slot that it has.
func (t *turn) held(p *Peer) Duration { return t.v.Now.Sub(p.Changed) }

// keepQuiet leaves peers unchoked that have just lost interest, while nobody needs
// their slots: interest flaps more often than it should.
func (t *turn) keepQuiet() {
	for i := range t.v.Peers {
		if p := &t.v.Peers[i]; t.free > 0 && p.Unchoked && !p.Interested && !p.Seed && t.held(p) < Round {
			t.give(p)
		}
	}
}

// release returns the candidates' memory without pointers into the view.
func (t *turn) release() []cand {
	clear(t.list)
	return t.list[:0]
}
