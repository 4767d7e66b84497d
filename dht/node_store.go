package dht

// conclude stores at the closest nodes what there is to store. BEP 5: "the client then
// inserts the peer contact information for itself onto the responding nodes with IDs
// closest to the infohash". Those are 8, or among liars as many more as the lookup has
// found, 24 at most: what liars keep for themselves the others have.
func (n *Node) conclude(c *Ctx, s *search) {
	if s.storing > 0 || s.over {
		return
	}
	if !n.cfg.ReadOnly {
		for _, to := range s.l.closest() {
			n.storeAt(c, s, to)
		}
	}
	if s.storing == 0 && !n.retry(c, s) {
		n.end(c, s, nil)
	}
}

func (n *Node) storeAt(c *Ctx, s *search, to *candidate) {
	if to.token == nil {
		return // "If a node does not return a token it indicates that it currently cannot accept announces"
	}
	var probe Msg
	if !s.job.store(to, &probe) {
		return
	}
	fill := func(q *Msg) {
		s.job.store(to, q)
		q.Token = to.token
	}
	if n.ask(c, to.Contact, true, &deposit{s: s}, fill) {
		s.storing++
	}
}

// deposit is one query that stores.
type deposit struct {
	s    *search
	done bool // answered, or no longer waited for
}

func (d *deposit) onReply(n *Node, c *Ctx, _ *flight, _ *Msg) {
	if !d.done {
		d.s.stored++
	}
	d.settle(n, c)
}

func (d *deposit) onLate(n *Node, c *Ctx, f *flight) {
	if f.late == isOverdue {
		d.settle(n, c)
	}
}

func (d *deposit) onGone(n *Node, c *Ctx, _ *flight, err error) {
	if !d.done {
		d.s.refusal = err
	}
	d.settle(n, c)
}

func (d *deposit) settle(n *Node, c *Ctx) {
	if d.done {
		return
	}
	d.done = true
	d.s.storing--
	if d.s.storing == 0 && !d.s.over {
		n.end(c, d.s, nil)
	}
}
