package mse

// dropped is how much of each keystream nobody uses: "the first 1024 bytes of the RC4
// output are discarded".
const dropped = 1024

// Stream is RC4 at some place of its keystream. It belongs to one goroutine at a time.
type Stream struct {
	s    [256]uint8
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
		c.s[i] = uint8(i)
	}
	var j uint8
	for i := range c.s {
		j += c.s[i] + key[i%len(key)]
		c.s[i], c.s[j] = c.s[j], c.s[i]
	}
	return c
}

// XOR encrypts or decrypts src to dst, which is at least as long. They are the same
// slice or do not overlap.
func (c *Stream) XOR(dst, src []byte) {
	dst = dst[:len(src)]
	i, j := c.i, c.j
	for k, v := range src {
		i++
		x := c.s[i]
		j += x
		y := c.s[j]
		c.s[i], c.s[j] = y, x
		dst[k] = v ^ c.s[x+y]
	}
	c.i, c.j = i, j
}
