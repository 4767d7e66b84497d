package choker

// rounds tells the decisions that are due from those between. It owns the time of
// the next one.
type rounds struct{ next Time }

// due reports whether a round is over at now, and begins the next one then.
func (r *rounds) due(now Time) bool {
	if now < r.next {
		return false
	}
	r.next = now.Add(Round)
	return true
}

// again is how long the current round lasts, 0 if nobody is there to decide about.
func (r *rounds) again(v *View) Duration {
	for i := range v.Peers {
		if p := &v.Peers[i]; p.wants() || p.Unchoked {
			return r.next.Sub(v.Now)
		}
	}
	return 0
}

// queue remembers since when peers wait for a slot.
type queue struct{ since map[uint32]Time }

// waited returns how long a peer has been waiting, 0 for one not seen before.
func (q *queue) waited(id uint32, now Time) Duration {
	if t, ok := q.since[id]; ok {
		return now.Sub(t)
	}
	return 0
}

// note begins or ends every peer's wait after a decision.
func (q *queue) note(t *turn) {
	if q.since == nil {
		q.since = map[uint32]Time{}
	}
	for i := range t.v.Peers {
		if p := &t.v.Peers[i]; !p.wants() {
			delete(q.since, p.ID)
		}
	}
	for i := range t.list {
		c := &t.list[i]
		if _, waits := q.since[c.ID]; c.taken {
			delete(q.since, c.ID)
		} else if !waits {
			q.since[c.ID] = t.v.Now
		}
	}
}

func (q *queue) forget(id uint32) { delete(q.since, id) }
