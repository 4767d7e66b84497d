package choker

// titForTat gives to those that give: "reciprocation and number of uploads capping
// by unchoking the four peers which it has the best download rates from and are
// interested" (BEP 3). When there is nothing to reciprocate it serves in turn.
type titForTat struct {
	ranked
	seeding roundRobin
	seeds   bool // which of the two decided last
}

// Decide implements Strategy.
func (s *titForTat) Decide(v *View, out []Grant) ([]Grant, Duration) {
	if s.seeds != v.Seeding { // what the other one remembers is out of date
		*s = titForTat{seeds: v.Seeding}
	}
	if s.seeds {
		return s.seeding.Decide(v, out)
	}
	return s.decide(v, out, reciprocation)
}

// reciprocation is what a peer gave us in the last round: bytes, for an average
// still praises who has stopped. A snubbed peer has no merit; it may only be tried
// out like others, as the anti-snubbing of the original client has it.
func reciprocation(p *Peer) int64 {
	if p.Snubbed {
		return 0
	}
	return p.RoundDown
}

// Forget implements Strategy.
func (s *titForTat) Forget(id uint32) {
	s.forget(id)
	s.seeding.Forget(id)
}

// fastest gives to those that take fastest, so that what we upload spreads soonest:
// "If a downloader has a complete file, it uses its upload rate rather than its
// download rate to decide who to unchoke" (BEP 3).
type fastest struct{ ranked }

// Decide implements Strategy.
func (s *fastest) Decide(v *View, out []Grant) ([]Grant, Duration) {
	return s.decide(v, out, uptake)
}

// uptake is what a peer took in the last round. What trickles to a choked peer does
// not count, else it would come and go.
func uptake(p *Peer) int64 {
	if !p.Unchoked {
		return 0
	}
	return p.RoundUp
}

// Forget implements Strategy.
func (s *fastest) Forget(id uint32) { s.forget(id) }
