package engine

import (
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
)

// uploadAsk is one request of the remote.
type uploadAsk struct {
	piece         metainfo.PieceIndex
	begin, length uint32
}

// plain says whether u is for one slot's worth at a slot's boundary, so that it
// can be read together with its neighbours.
func (u *uploadAsk) plain() bool { return u.begin%block.Size == 0 && u.length <= block.Size }

// uploadQueue holds what the remote wants, in its order. The zero value is empty.
type uploadQueue struct {
	ring []uploadAsk // length is a power of two
	head int32
	n    int32
}

// uploadsIdle requests' room is kept by a queue without any.
const uploadsIdle = 16

func (q *uploadQueue) at(i int32) *uploadAsk { return &q.ring[(q.head+i)&int32(len(q.ring)-1)] }

// lookBack is how many of the newest requests are compared with a new one: a
// request that is made twice is made soon again, and comparing with all 2,000 of a
// deep queue cost a twentieth of a seed's time. One that slips through is served.
const lookBack = 32

// push appends u unless it has just been pushed, or requestsIn others wait.
func (q *uploadQueue) push(u uploadAsk) (full bool) {
	if q.findFrom(u, max(q.n-lookBack, 0)) >= 0 {
		return false
	}
	if q.n == requestsIn {
		return true
	}
	if int(q.n) == len(q.ring) {
		q.grow()
	}
	q.n++
	*q.at(q.n - 1) = u
	return false
}

func (q *uploadQueue) grow() {
	ring := make([]uploadAsk, max(8, 2*len(q.ring)))
	for i := range q.n {
		ring[i] = *q.at(i)
	}
	q.ring, q.head = ring, 0
}

// find looks from the end: what comes twice comes soon, and the rest must be looked
// at anyway.
func (q *uploadQueue) find(u uploadAsk) int32 { return q.findFrom(u, 0) }

func (q *uploadQueue) findFrom(u uploadAsk, oldest int32) int32 {
	for i := q.n - 1; i >= oldest; i-- {
		if *q.at(i) == u {
			return i
		}
	}
	return -1
}

// remove takes u out and reports whether it was there.
func (q *uploadQueue) remove(u uploadAsk) bool {
	i := q.find(u)
	if i < 0 {
		return false
	}
	for ; i > 0; i-- {
		*q.at(i) = *q.at(i - 1)
	}
	q.pop()
	return true
}

func (q *uploadQueue) pop() uploadAsk {
	u := *q.at(0)
	q.head = (q.head + 1) & int32(len(q.ring)-1)
	q.n--
	return u
}

// takeIf removes the requests that f wants, in their order.
func (q *uploadQueue) takeIf(f func(uploadAsk) bool) {
	kept := int32(0)
	for i := range q.n {
		u := *q.at(i)
		if !f(u) {
			*q.at(kept) = u
			kept++
		}
	}
	q.n = kept
}

// uploadRead is what one read serves: n requests that follow each other.
type uploadRead struct {
	uploadAsk // of all n together
	n         int32
}

// next takes the requests that one read of at most limit bytes can serve: the first,
// and those that follow it in the queue and in the piece without a gap. There must
// be one.
func (q *uploadQueue) next(limit int64) uploadRead {
	r := uploadRead{q.pop(), 1}
	if !r.plain() {
		return r
	}
	// A short request leaves its slot half filled: the run ends with it.
	for last := r.length; q.n > 0 && last == block.Size; r.n++ {
		u := q.at(0)
		follows := u.piece == r.piece && u.begin == r.begin+r.length && u.length <= block.Size
		if !follows || int64(r.length)+int64(u.length) > limit {
			break
		}
		last = u.length
		r.length += last
		q.pop()
	}
	return r
}

// shrink lets a large ring go when it is empty.
func (q *uploadQueue) shrink() {
	if q.n == 0 && len(q.ring) > uploadsIdle {
		*q = uploadQueue{}
	}
}
