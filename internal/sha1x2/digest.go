package sha1x2

import (
	"crypto/sha1"
	"encoding/binary"
	"hash"
)

const blockSize = 64

// Digest is a running SHA-1. Use New. It implements hash.Hash.
type Digest struct {
	h    [5]uint32
	rest [blockSize]byte // of the block that is not full yet
	n    int             // bytes in rest
	size uint64          // bytes in all
	std  hash.Hash       // does the work where there is no assembly
}

// New returns the hash of nothing.
func New() *Digest {
	d := &Digest{}
	d.Reset()
	return d
}

// Reset makes d the hash of nothing.
func (d *Digest) Reset() {
	if !native {
		if d.std == nil {
			d.std = sha1.New()
		}
		d.std.Reset()
		return
	}
	d.h = [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	d.n, d.size = 0, 0
}

// Size returns 20.
func (d *Digest) Size() int { return sha1.Size }

// BlockSize returns 64.
func (d *Digest) BlockSize() int { return blockSize }

// Write adds p. It never fails.
func (d *Digest) Write(p []byte) (int, error) {
	if d.std != nil {
		return d.std.Write(p)
	}
	d.finish(d.fill(p))
	return len(p), nil
}

// Write2 adds pa to a and pb to b, which are two digests. For as long as both go on
// they are hashed together, at little more than the cost of one.
func Write2(a, b *Digest, pa, pb []byte) {
	if a.std == nil && b.std == nil && a != b {
		pa, pb = a.fill(pa), b.fill(pb)
		if both := min(len(pa), len(pb)) / blockSize; both > 0 {
			block2(&a.h, &pa[0], &b.h, &pb[0], both)
			pa, pb = pa[both*blockSize:], pb[both*blockSize:]
		}
		a.finish(pa)
		b.finish(pb)
		return
	}
	_, _ = a.Write(pa)
	_, _ = b.Write(pb)
}

// fill counts p, completes the started block with its beginning and returns the
// rest: empty, or at the beginning of a block.
func (d *Digest) fill(p []byte) []byte {
	d.size += uint64(len(p))
	if d.n == 0 {
		return p
	}
	n := copy(d.rest[d.n:], p)
	if d.n += n; d.n == blockSize {
		block1(&d.h, &d.rest[0], 1)
		d.n = 0
	}
	return p[n:]
}

// finish hashes what fill has left and puts the beginning of a block aside.
func (d *Digest) finish(p []byte) {
	if full := len(p) / blockSize; full > 0 {
		block1(&d.h, &p[0], full)
		p = p[full*blockSize:]
	}
	if len(p) > 0 {
		d.n = copy(d.rest[:], p)
	}
}

// Sum appends the hash of what was written; more may be written afterwards.
func (d *Digest) Sum(b []byte) []byte {
	if d.std != nil {
		return d.std.Sum(b)
	}
	c := *d
	// "the original message is padded with 1 followed by 0s and its length" (RFC 3174 §4)
	var pad [2 * blockSize]byte
	n := copy(pad[:], c.rest[:c.n])
	pad[n] = 0x80
	end := blockSize
	if n+9 > blockSize {
		end = 2 * blockSize
	}
	binary.BigEndian.PutUint64(pad[end-8:], c.size*8)
	block1(&c.h, &pad[0], end/blockSize)
	for _, w := range c.h {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}
