package picker

import "github.com/shoal-bt/shoal/internal/bits"

// sequential asks for pieces in order of index, so that a file can be used from its
// beginning while the rest arrives. It owns, per priority, the set of open pieces.
type sequential struct {
	open [8]bits.Set // by priority; [0] is not used; made when first needed
	prio []uint8     // of each piece: the set it is in, 0 none, inDue in due
	due  dueList

	ordering bool
	later    []int32
}

const inDue uint8 = 255

// Rebuild implements Strategy.
func (s *sequential) Rebuild(f Facts) {
	*s = sequential{prio: make([]uint8, f.Pieces())}
	for i := range f.Pieces() {
		s.place(f, i)
	}
}

// Changed implements Strategy.
func (s *sequential) Changed(f Facts, piece int32, c Change) {
	switch {
	case uint32(piece) >= uint32(len(s.prio)) || c == AvailChanged:
	case s.ordering:
		s.later = append(s.later, piece)
	default:
		s.place(f, piece)
	}
}

func (s *sequential) place(f Facts, i int32) {
	p := f.Piece(i)
	switch was := s.prio[i]; was {
	case 0:
	case inDue:
		s.due.drop(i)
	default:
		s.open[was].Clear(i)
	}
	s.prio[i] = 0
	switch {
	case !p.Wanted():
	case p.Due():
		s.prio[i] = inDue
		s.due.put(i, p.Deadline)
	case p.Missing > 0:
		s.prio[i] = min(p.Prio, Highest)
		s.set(s.prio[i]).Set(i)
	}
}

func (s *sequential) set(prio uint8) *bits.Set {
	if s.open[prio].Len() == 0 {
		s.open[prio] = bits.New(int32(len(s.prio)))
	}
	return &s.open[prio]
}

// Order implements Strategy. A snubbed peer comes from the end, where it holds
// nothing up.
func (s *sequential) Order(f Facts, p *Peer, offer func(int32, Hint) bool) {
	s.ordering = true
	v := newVisit(f, p, offer)
	late := p.Snubbed || p.Parole
	if (late || s.due.offer(v)) && s.byPriority(v) && late {
		s.due.offer(v)
	}
	s.ordering = false
	for _, i := range s.later {
		s.place(f, i)
	}
	s.later = s.later[:0]
}

func (s *sequential) byPriority(v *visit) bool {
	for prio := Highest; prio >= Lowest; prio-- {
		open := &s.open[prio]
		if open.None() {
			continue
		}
		if v.p.Snubbed && !s.down(v, open) || !v.p.Snubbed && !s.up(v, open) {
			return false
		}
	}
	return true
}

func (s *sequential) up(v *visit, open *bits.Set) bool {
	for i := next(open, v.p.Has, 0); i >= 0; i = next(open, v.p.Has, i+1) {
		if !v.try(i) {
			return false
		}
	}
	return true
}

func (s *sequential) down(v *visit, open *bits.Set) bool {
	for i := open.PrevSet(open.Len() - 1); i >= 0; i = open.PrevSet(i - 1) {
		if !v.try(i) {
			return false
		}
	}
	return true
}

// next returns the first open piece from i on that is in has.
func next(open *bits.Set, has Bits, i int32) int32 {
	if has == nil {
		return open.NextSet(i)
	}
	return open.NextAnd(i, has)
}
