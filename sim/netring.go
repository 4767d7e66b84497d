package sim

// ring is a queue that keeps its memory, up to a bound, when it is empty.
type ring[T any] struct {
	buf     []T // length a power of two, or none
	head, n int
}

// keepRing is how many elements' room an empty ring may keep.
const keepRing = 16

func (r *ring[T]) len() int { return r.n }

// at returns the i-th element, valid until the next push.
func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring[T]) push(v T) {
	r.grow()
	r.n++
	*r.at(r.n - 1) = v
}

func (r *ring[T]) grow() {
	if r.n < len(r.buf) {
		return
	}
	bigger := make([]T, max(4, 2*len(r.buf)))
	for i := range r.n {
		bigger[i] = *r.at(i)
	}
	r.buf, r.head = bigger, 0
}

// pop removes the first element.
func (r *ring[T]) pop() {
	var zero T
	*r.at(0) = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	r.shrink()
}

// popBack removes the last element.
func (r *ring[T]) popBack() {
	var zero T
	*r.at(r.n - 1) = zero
	r.n--
	r.shrink()
}

func (r *ring[T]) shrink() {
	if r.n == 0 && len(r.buf) > keepRing {
		*r = ring[T]{}
	}
}
