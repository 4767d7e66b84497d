package bits

import (
	"iter"
	mathbits "math/bits"
	"slices"
)

// Set is a set of integers in 0..Len()-1. Its zero value is the empty set of
// length 0. A Set owns its words: hand it on by pointer or Clone it; a plain copy
// shares words but not the count.
type Set struct {
	words []uint64 // bit i is words[i>>6]>>(i&63)&1; spare bits of the last word are 0
	n     int32    // length in bits
	count int32    // bits set
}

// New returns an empty set of length n. A negative n counts as 0.
func New(n int32) Set {
	n = max(n, 0)
	return Set{words: make([]uint64, wordsFor(n)), n: n}
}

func wordsFor(n int32) int { return int((int64(n) + 63) >> 6) }

// Len returns the length: members lie in 0..Len()-1.
func (s *Set) Len() int32 { return s.n }

// Count returns the number of members, in O(1).
func (s *Set) Count() int32 { return s.count }

// Full reports whether every integer in 0..Len()-1 is a member. A set of length 0
// is both full and empty.
func (s *Set) Full() bool { return s.count == s.n }

// None reports whether there is no member.
func (s *Set) None() bool { return s.count == 0 }

// Has reports whether i is a member. What lies outside 0..Len()-1 never is.
func (s *Set) Has(i int32) bool {
	return uint32(i) < uint32(s.n) && s.words[i>>6]>>(uint(i)&63)&1 != 0
}

// Set adds i and reports whether it is new. Outside 0..Len()-1 it does nothing.
func (s *Set) Set(i int32) bool {
	if uint32(i) >= uint32(s.n) {
		return false
	}
	w, m := &s.words[i>>6], uint64(1)<<(uint(i)&63)
	if *w&m != 0 {
		return false
	}
	*w |= m
	s.count++
	return true
}

// Clear removes i and reports whether it was a member.
func (s *Set) Clear(i int32) bool {
	if !s.Has(i) {
		return false
	}
	s.words[i>>6] &^= 1 << (uint(i) & 63)
	s.count--
	return true
}

// SetAll makes every integer in 0..Len()-1 a member.
func (s *Set) SetAll() {
	for i := range s.words {
		s.words[i] = ^uint64(0)
	}
	s.trim()
	s.count = s.n
}

// SetRange adds from..to-1, cut to 0..Len()-1.
func (s *Set) SetRange(from, to int32) {
	from, to = max(from, 0), min(to, s.n)
	for ; from < to && from&63 != 0; from++ {
		s.Set(from)
	}
	for ; from < to && to-from >= 64; from += 64 {
		w := &s.words[from>>6]
		s.count += int32(64 - mathbits.OnesCount64(*w))
		*w = ^uint64(0)
	}
	for ; from < to; from++ {
		s.Set(from)
	}
}

// Reset removes every member and keeps the length.
func (s *Set) Reset() {
	clear(s.words)
	s.count = 0
}

// Clone returns a set of the same length and members that shares nothing with s.
func (s *Set) Clone() Set {
	return Set{words: slices.Clone(s.words), n: s.n, count: s.count}
}

// Equal reports whether both have the same length and members.
func (s *Set) Equal(o *Set) bool {
	return s.n == o.n && s.count == o.count && slices.Equal(s.words, o.words)
}

// All yields the members in ascending order. Members may be removed meanwhile;
// members added behind the iteration are not seen.
func (s *Set) All() iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for i := s.NextSet(0); i >= 0; i = s.NextSet(i + 1) {
			if !yield(i) {
				return
			}
		}
	}
}

// NextSet returns the lowest member >= from, or -1.
func (s *Set) NextSet(from int32) int32 {
	return s.next(from, 0)
}

// NextClear returns the lowest integer in from..Len()-1 that is no member, or -1.
func (s *Set) NextClear(from int32) int32 {
	return s.next(from, ^uint64(0))
}

// next scans words xored with flip for the first bit set at or after from.
func (s *Set) next(from int32, flip uint64) int32 {
	from = max(from, 0)
	if from >= s.n {
		return -1
	}
	w := int(from >> 6)
	word := (s.words[w] ^ flip) >> (uint(from) & 63) << (uint(from) & 63)
	for word == 0 {
		if w++; w == len(s.words) {
			return -1
		}
		word = s.words[w] ^ flip
	}
	if i := w<<6 + mathbits.TrailingZeros64(word); i < int(s.n) {
		return int32(i)
	}
	return -1 // a spare bit of the last word, seen flipped
}

// PrevSet returns the greatest member <= from, or -1.
func (s *Set) PrevSet(from int32) int32 {
	from = min(from, s.n-1)
	if from < 0 {
		return -1
	}
	w, up := int(from>>6), 63-uint(from)&63
	word := s.words[w] << up >> up
	for word == 0 {
		if w--; w < 0 {
			return -1
		}
		word = s.words[w]
	}
	return int32(w<<6 + 63 - mathbits.LeadingZeros64(word))
}

// trim clears the spare bits of the last word.
func (s *Set) trim() {
	if r := uint(s.n) & 63; r != 0 {
		s.words[len(s.words)-1] &= 1<<r - 1
	}
}
