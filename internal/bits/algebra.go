package bits

import mathbits "math/bits"

// Sets of different lengths are compared over the shorter one: beyond its length a
// set has no members.

// Words returns the words themselves, for hot loops: index i is bit i&63 of word
// i>>6, spare bits of the last word are 0. The caller must not change them.
func (s *Set) Words() []uint64 { return s.words }

// Word returns word w (indexes 64w..64w+63), or 0 beyond the end.
func (s *Set) Word(w int) uint64 {
	if uint(w) < uint(len(s.words)) {
		return s.words[w]
	}
	return 0
}

// HasAnyNotIn reports whether some member of s is missing in o: "the peer has
// something that we lack".
func (s *Set) HasAnyNotIn(o *Set) bool {
	if s.count > o.count {
		return true
	}
	for i, w := range s.words {
		if w&^o.Word(i) != 0 {
			return true
		}
	}
	return false
}

// Intersects reports whether some integer is a member of both.
func (s *Set) Intersects(o *Set) bool {
	for i := range min(len(s.words), len(o.words)) {
		if s.words[i]&o.words[i] != 0 {
			return true
		}
	}
	return false
}

// CountAnd returns the number of integers that are members of both.
func (s *Set) CountAnd(o *Set) int32 {
	c := 0
	for i := range min(len(s.words), len(o.words)) {
		c += mathbits.OnesCount64(s.words[i] & o.words[i])
	}
	return int32(c)
}

// CountAndNot returns the number of members of s that o lacks.
func (s *Set) CountAndNot(o *Set) int32 { return s.count - s.CountAnd(o) }

// NextAndNot returns the lowest integer >= from that is a member of s and not of o,
// or -1.
func (s *Set) NextAndNot(from int32, o *Set) int32 {
	from = max(from, 0)
	mask := ^uint64(0) << (uint(from) & 63)
	for w := int(from >> 6); w < len(s.words); w++ {
		if word := s.words[w] &^ o.Word(w) & mask; word != 0 {
			return int32(w<<6 + mathbits.TrailingZeros64(word))
		}
		mask = ^uint64(0)
	}
	return -1
}

// NextAnd returns the lowest integer >= from that is a member of both, or -1.
func (s *Set) NextAnd(from int32, o *Set) int32 {
	from = max(from, 0)
	mask := ^uint64(0) << (uint(from) & 63)
	for w := int(from >> 6); w < min(len(s.words), len(o.words)); w++ {
		if word := s.words[w] & o.words[w] & mask; word != 0 {
			return int32(w<<6 + mathbits.TrailingZeros64(word))
		}
		mask = ^uint64(0)
	}
	return -1
}

// And keeps the members of s that are members of o too.
func (s *Set) And(o *Set) {
	s.combine(func(a, b uint64) uint64 { return a & b }, o)
}

// AndNot removes the members of o from s.
func (s *Set) AndNot(o *Set) {
	s.combine(func(a, b uint64) uint64 { return a &^ b }, o)
}

// Or adds the members of o that lie within the length of s.
func (s *Set) Or(o *Set) {
	s.combine(func(a, b uint64) uint64 { return a | b }, o)
}

func (s *Set) combine(f func(a, b uint64) uint64, o *Set) {
	for i, w := range s.words {
		s.words[i] = f(w, o.Word(i))
	}
	s.trim()
	s.recount()
}

// CopyFrom makes s equal to o, reusing the memory of s where it suffices.
func (s *Set) CopyFrom(o *Set) {
	s.words = append(s.words[:0], o.words...)
	s.n, s.count = o.n, o.count
}

func (s *Set) recount() {
	c := 0
	for _, w := range s.words {
		c += mathbits.OnesCount64(w)
	}
	s.count = int32(c)
}
