package choker

import (
	"cmp"
	"slices"
	"time"
)

// roundRobin serves everybody in turn: who has waited longest comes next, who has
// had its share goes to the end when others wait. It owns its rounds, the queue, and
// the term of each peer that has a slot.
type roundRobin struct {
	rounds
	queue
	terms   map[uint32]term
	scratch []cand
}

// term is the time that a peer has had its slot.
type term struct {
	began Time
	base  int64 // UpTotal at the beginning
}

// A share ends after shareTime; sooner, after a Round, for a peer so fast that it
// has sharePieces by then; later for one so slow that it has not even one, for a
// part of a piece helps nobody.
const (
	shareTime   = 20 * time.Second
	shareLong   = 60 * time.Second
	sharePieces = 20
)

// Decide implements Strategy.
func (s *roundRobin) Decide(v *View, out []Grant) ([]Grant, Duration) {
	due := s.due(v.Now)
	t := newTurn(v, out, s.scratch)
	s.begin(t)
	s.order(t)
	s.dismiss(t, due)
	t.fill(func(c *cand) bool { return c.Unchoked && !c.dismissed })
	t.fill(func(c *cand) bool { return !c.Unchoked })
	t.keepQuiet()
	s.close(t)
	s.scratch = t.release()
	return t.out, s.again(v)
}

// begin gives a term to peers that got their slot from somebody else, as when the
// strategy is new.
func (s *roundRobin) begin(t *turn) {
	if s.terms == nil {
		s.terms = map[uint32]term{}
	}
	for i := range t.list {
		c := &t.list[i]
		if had, ok := s.terms[c.ID]; c.Unchoked && (!ok || had.began < c.Changed) {
			s.terms[c.ID] = term{began: c.Changed, base: c.UpTotal}
		}
	}
}

// order sorts by the length of the term, and of the wait, longest first.
func (s *roundRobin) order(t *turn) {
	for i := range t.list {
		if c := &t.list[i]; c.Unchoked {
			c.merit = int64(t.v.Now - s.terms[c.ID].began)
		} else {
			c.merit = int64(s.waited(c.ID, t.v.Now))
		}
	}
	slices.SortFunc(t.list, func(a, b cand) int { return cmp.Compare(b.merit, a.merit) })
}

// served reports whether a peer has had its share.
func (s *roundRobin) served(v *View, c *cand) bool {
	had := s.terms[c.ID]
	d, bytes := v.Now.Sub(had.began), c.UpTotal-had.base
	return d >= shareLong || d >= shareTime && bytes >= v.PieceLen || d >= Round && bytes >= sharePieces*v.PieceLen
}

// dismiss ends the terms of those that were served, longest first, as many as wait
// without a free slot. Slots change hands at rounds only, except when there are too
// few: then whoever has had one longest goes.
func (s *roundRobin) dismiss(t *turn, due bool) {
	serving := 0
	for i := range t.list {
		serving += truth(t.list[i].Unchoked)
	}
	tooMany := serving - t.free
	others := tooMany
	if due {
		others = len(t.list) - t.free
	}
	for i := range t.list {
		c := &t.list[i]
		if c.Unchoked && (tooMany > 0 || others > 0 && s.served(t.v, c)) {
			c.dismissed = true
			tooMany--
			others--
		}
	}
}

// close begins the terms of the new and ends those of who is choked.
func (s *roundRobin) close(t *turn) {
	s.note(t)
	for i := range t.v.Peers {
		if p := &t.v.Peers[i]; !p.wants() {
			delete(s.terms, p.ID)
		}
	}
	for i := range t.list {
		c := &t.list[i]
		if _, has := s.terms[c.ID]; !c.taken {
			delete(s.terms, c.ID)
		} else if !has {
			s.terms[c.ID] = term{began: t.v.Now, base: c.UpTotal}
		}
	}
}

// Forget implements Strategy.
func (s *roundRobin) Forget(id uint32) {
	s.forget(id)
	delete(s.terms, id)
}
