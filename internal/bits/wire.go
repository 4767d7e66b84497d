package bits

import (
	"encoding/binary"
	"errors"
	"fmt"
	mathbits "math/bits"
)

// Errors of ParseWire: both are the remote's fault.
var (
	ErrLength = errors.New("bitfield has the wrong length")
	ErrSpare  = errors.New("bitfield has spare bits set")
)

// WireLen returns the bytes that a set of length n takes on the wire.
func WireLen(n int32) int { return int((int64(max(n, 0)) + 7) >> 3) }

// AppendWire appends the set as BEP 3 writes a bitfield: "The first byte of the
// bitfield corresponds to indices 0 - 7 from high bit to low bit [...] Spare bits at
// the end are set to zero."
func (s *Set) AppendWire(dst []byte) []byte {
	whole := int(s.n >> 6)
	for _, w := range s.words[:whole] {
		dst = binary.BigEndian.AppendUint64(dst, mathbits.Reverse64(w))
	}
	if whole < len(s.words) {
		var last [8]byte
		binary.BigEndian.PutUint64(last[:], mathbits.Reverse64(s.words[whole]))
		dst = append(dst, last[:WireLen(s.n&63)]...)
	}
	return dst
}

// ParseWire reads the bitfield of a set of length n. It keeps nothing of b. A wrong
// length or a spare bit set is an error: clients drop such peers (BEP 3: "Spare
// bits at the end are set to zero").
func ParseWire(b []byte, n int32) (Set, error) {
	if len(b) != WireLen(n) {
		return Set{}, fmt.Errorf("%w: %d bytes for %d pieces", ErrLength, len(b), n)
	}
	s := New(n)
	for i := range s.words {
		var word [8]byte
		copy(word[:], b[i*8:])
		s.words[i] = mathbits.Reverse64(binary.BigEndian.Uint64(word[:]))
	}
	if r := uint(s.n) & 63; r != 0 && s.words[len(s.words)-1]>>r != 0 {
		return Set{}, fmt.Errorf("%w: beyond piece %d", ErrSpare, n-1)
	}
	s.recount()
	return s, nil
}
