package picker

// random asks for pieces at random. Compared with rarest it shows what rarity is
// worth. It owns a board that ignores availability.
type random struct{ board }

// Rebuild implements Strategy.
func (r *random) Rebuild(f Facts) {
	r.flat = true
	r.board.Rebuild(f)
}

// Order implements Strategy.
func (r *random) Order(f Facts, p *Peer, offer func(int32, Hint) bool) {
	if r.begin(p) {
		v := newVisit(f, p, offer)
		late := p.Snubbed || p.Parole // nothing urgent for those
		if (late || r.due.offer(v)) && r.byPriority(v) && late {
			r.due.offer(v)
		}
	}
	r.end(f)
}

func (r *random) byPriority(v *visit) bool {
	for prio := Highest; prio >= Lowest; prio-- {
		first, then := r.partial(prio), r.untouched(prio)
		if v.p.Snubbed {
			first, then = then, first
		}
		if !v.scattered(first, nil) || !v.scattered(then, nil) {
			return false
		}
	}
	return true
}
