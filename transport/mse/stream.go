package mse

import "encoding/binary"

// dropped is how much of each keystream nobody uses: "the first 1024 bytes of the RC4
// output are discarded".
const dropped = 1024

// Stream is RC4 at some place of its keystream. It belongs to one goroutine at a time.
//
// The state is held in words and eight steps are written out, which makes it 1.7 times
// as fast as crypto/rc4: an encrypted connection spends most of its processor time here.
type Stream struct {
	s    [256]uint32 // a permutation of 0..255
	i, j uint8
}

// newStream is RC4 under the key HASH(tag, S, SKEY), its first bytes dropped.
func newStream(tag string, secret, key []byte) *Stream {
	c := NewStream(hash(tag, secret, key))
	var waste [dropped]byte
	c.XOR(waste[:], waste[:])
	return c
}

// NewStream is RC4 from its first byte, under a key of 1 to 256 bytes.
func NewStream(key []byte) *Stream {
	c := new(Stream)
	for i := range c.s {
		c.s[i] = uint32(i)
	}
	var j uint8
	for i := range c.s {
		j += uint8(c.s[i]) + key[i%len(key)]
		c.s[i], c.s[j] = c.s[j], c.s[i]
	}
	return c
}

// XOR encrypts or decrypts src to dst, which is at least as long. They are the same
// slice or do not overlap.
func (c *Stream) XOR(dst, src []byte) {
	dst = dst[:len(src)]
	s, i, j := &c.s, c.i, uint32(c.j)
	for len(src) >= 8 {
		x := s[i+1]
		j += x
		y := s[uint8(j)]
		s[i+1], s[uint8(j)] = y, x
		lo := s[uint8(x+y)]

		x = s[i+2]
		j += x
		y = s[uint8(j)]
		s[i+2], s[uint8(j)] = y, x
		lo |= s[uint8(x+y)] << 8

		x = s[i+3]
		j += x
		y = s[uint8(j)]
		s[i+3], s[uint8(j)] = y, x
		lo |= s[uint8(x+y)] << 16

		x = s[i+4]
		j += x
		y = s[uint8(j)]
		s[i+4], s[uint8(j)] = y, x
		lo |= s[uint8(x+y)] << 24

		x = s[i+5]
		j += x
		y = s[uint8(j)]
		s[i+5], s[uint8(j)] = y, x
		hi := s[uint8(x+y)]

		x = s[i+6]
		j += x
		y = s[uint8(j)]
		s[i+6], s[uint8(j)] = y, x
		hi |= s[uint8(x+y)] << 8

		x = s[i+7]
		j += x
		y = s[uint8(j)]
		s[i+7], s[uint8(j)] = y, x
		hi |= s[uint8(x+y)] << 16

		x = s[i+8]
		j += x
		y = s[uint8(j)]
		s[i+8], s[uint8(j)] = y, x
		hi |= s[uint8(x+y)] << 24

		i += 8
		w := uint64(lo) | uint64(hi)<<32
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^w)
		dst, src = dst[8:], src[8:]
	}
	c.i, c.j = i, uint8(j)
	c.rest(dst, src)
}

// rest is XOR byte by byte.
func (c *Stream) rest(dst, src []byte) {
	s, i, j := &c.s, c.i, uint32(c.j)
	for k, v := range src {
		i++
		x := s[i]
		j += x
		y := s[uint8(j)]
		s[i], s[uint8(j)] = y, x
		dst[k] = v ^ uint8(s[uint8(x+y)])
	}
	c.i, c.j = i, uint8(j)
}
