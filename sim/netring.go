package sim

import "math/bits"

// ring is a queue. While it is empty it holds no memory: its buffer goes back to the
// network, where others use it. Thousands of connections are at rest at any time.
type ring[T any] struct {
	buf     []T // length a power of two, or none
	head, n int
}

// buffers are what the rings of one kind of element use, by the logarithm of their
// length.
type buffers[T any] [32][][]T

func (b *buffers[T]) take(length int) []T {
	k := bits.TrailingZeros(uint(length))
	free := b[k]
	if len(free) == 0 {
		return make([]T, length)
	}
	buf := free[len(free)-1]
	b[k] = free[:len(free)-1]
	return buf
}

// give takes back a buffer whose elements are all zero.
func (b *buffers[T]) give(buf []T) {
	if len(buf) > 0 {
		k := bits.TrailingZeros(uint(len(buf)))
		b[k] = append(b[k], buf)
	}
}

// firstRing is the length of a ring's first buffer.
const firstRing = 4

func (r *ring[T]) len() int { return r.n }

// at returns the i-th element, valid until the next push.
func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring[T]) push(b *buffers[T], v T) {
	if r.n == len(r.buf) {
		r.grow(b)
	}
	r.n++
	*r.at(r.n - 1) = v
}

func (r *ring[T]) grow(b *buffers[T]) {
	bigger := b.take(max(firstRing, 2*len(r.buf)))
	for i := range r.n {
		bigger[i] = *r.at(i)
	}
	clear(r.buf)
	b.give(r.buf)
	r.buf, r.head = bigger, 0
}

// pop removes the first element.
func (r *ring[T]) pop(b *buffers[T]) {
	var zero T
	*r.at(0) = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.removed(b)
}

// popBack removes the last element.
func (r *ring[T]) popBack(b *buffers[T]) {
	var zero T
	*r.at(r.n - 1) = zero
	r.removed(b)
}

func (r *ring[T]) removed(b *buffers[T]) {
	if r.n--; r.n == 0 {
		b.give(r.buf)
		*r = ring[T]{}
	}
}

// clear removes all.
func (r *ring[T]) clear(b *buffers[T]) {
	clear(r.buf)
	b.give(r.buf)
	*r = ring[T]{}
}
