package engine

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
)

// askedBlock is one block that the remote was asked for.
type askedBlock struct {
	piece metainfo.PieceIndex
	block metainfo.BlockIndex
	at    actor.Time // when
}

func (r *askedBlock) is(b blockRef) bool { return r.piece == b.piece && r.block == b.block }

func (r *askedBlock) ref() blockRef { return blockRef{r.piece, r.block} }

// outstanding is a queue of requests in the order in which they were sent, which
// is the order in which nearly all remotes answer: the first is found at once, and
// one that comes out of order costs as many steps as there are requests before it.
// The zero value is empty.
type outstanding struct {
	ring []askedBlock // length is a power of two
	head int32
	n    int32
}

// outstandingIdle requests' room is kept by a queue without any.
const outstandingIdle = 16

func (o *outstanding) at(i int32) *askedBlock { return &o.ring[(o.head+i)&int32(len(o.ring)-1)] }

func (o *outstanding) push(r askedBlock) {
	if int(o.n) == len(o.ring) {
		o.grow()
	}
	o.n++
	*o.at(o.n - 1) = r
}

func (o *outstanding) grow() {
	ring := make([]askedBlock, max(8, 2*len(o.ring)))
	for i := range o.n {
		ring[i] = *o.at(i)
	}
	o.ring, o.head = ring, 0
}

// first is the oldest request, nil when there is none.
func (o *outstanding) first() *askedBlock {
	if o.n == 0 {
		return nil
	}
	return o.at(0)
}

// pop removes the oldest request; there must be one.
func (o *outstanding) pop() askedBlock {
	r := *o.at(0)
	o.head = (o.head + 1) & int32(len(o.ring)-1)
	o.n--
	return r
}

// take removes the request for b, of several the oldest.
func (o *outstanding) take(b blockRef) (r askedBlock, ok bool) {
	for i := range o.n {
		if !o.at(i).is(b) {
			continue
		}
		r = *o.at(i)
		for ; i > 0; i-- { // those before it move up
			*o.at(i) = *o.at(i - 1)
		}
		o.pop()
		return r, true
	}
	return askedBlock{}, false
}

// takeIf removes the requests that f wants, in their order.
func (o *outstanding) takeIf(f func(*askedBlock) bool) {
	kept := int32(0)
	for i := range o.n {
		r := *o.at(i)
		if !f(&r) {
			*o.at(kept) = r
			kept++
		}
	}
	o.n = kept
}

// shrink lets a large ring go when it is empty.
func (o *outstanding) shrink() {
	if o.n == 0 && len(o.ring) > outstandingIdle {
		*o = outstanding{}
	}
}
