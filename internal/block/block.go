// Package block holds payload on its way: 16 KiB slots of a slab that lies
// outside the garbage collector's heap and has a fixed budget.
//
// A slot has one owner while it may be written: sending the *Block in a message
// gives it away, and only the owner may Release it. After Seal it may be shared:
// each further holder calls Retain, and the last Release returns the slot. In
// builds with the race detector or the tag "invariants" returned slots are filled
// with 0xCC, so that a use after release shows.
package block

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Size is a slot's capacity in bytes: one block of BEP 3's requests.
const Size = 16384

// perExtent slots are mapped at a time: 1 MiB, the size of the best vectored write.
const perExtent = 64

// Block is a slot leased from a Slab. The zero value is not usable.
type Block struct {
	buf    []byte // Size bytes; nil for phantom payload
	n      int32
	refs   atomic.Int32
	sealed bool
	slab   *Slab
	next   *Block // free list

	// Mark stands for the content when payload is a phantom of the simulator,
	// which moves no bytes: 0 is the right content, anything else is not.
	Mark uint64
}

// Bytes returns the content; nil for phantom payload.
func (b *Block) Bytes() []byte {
	if b.buf == nil {
		return nil
	}
	return b.buf[:b.n]
}

// Len returns the length of the content in bytes, also for phantom payload.
func (b *Block) Len() int { return int(b.n) }

// SetLen sets the length of the content, 0..Size.
func (b *Block) SetLen(n int) {
	if n < 0 || n > Size {
		panic(fmt.Sprintf("block: length %d", n))
	}
	b.n = int32(n)
}

// Phantom reports whether the block carries no bytes.
func (b *Block) Phantom() bool { return b.buf == nil }

// Seal ends the time in which the content may change. It returns b.
func (b *Block) Seal() *Block {
	b.sealed = true
	return b
}

// Retain adds a holder to a sealed block and returns it.
func (b *Block) Retain() *Block {
	if !b.sealed {
		panic("block: Retain before Seal: a writable block has one owner")
	}
	b.refs.Add(1)
	return b
}

// Release gives the caller's share back; the last one returns the slot.
func (b *Block) Release() {
	switch n := b.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("block: released twice")
	}
	b.slab.put(b)
}

// Slab leases slots within a fixed budget. It is safe for concurrent use: pumps
// lease, workers release.
type Slab struct {
	budget  int
	phantom bool

	used atomic.Int64

	mu      sync.Mutex
	free    *Block
	made    int // slots that exist
	waiting []chan struct{}
}

// NewSlab makes a slab of at most bytes, mapped as it is needed and kept.
func NewSlab(bytes int64) *Slab {
	return &Slab{budget: max(int(bytes/Size), 1)}
}

// NewPhantomSlab makes a slab whose blocks have lengths but no bytes.
func NewPhantomSlab(bytes int64) *Slab {
	s := NewSlab(bytes)
	s.phantom = true
	return s
}

// Budget returns the number of slots that may be leased at once.
func (s *Slab) Budget() int { return s.budget }

// Used returns the number of slots that are leased now.
func (s *Slab) Used() int { return int(s.used.Load()) }

// Lease returns a slot whose content is undefined, or nil when the budget is spent.
func (s *Slab) Lease() *Block {
	s.mu.Lock()
	b := s.leaseLocked()
	s.mu.Unlock()
	return b
}

func (s *Slab) leaseLocked() *Block {
	if s.free == nil && !s.growLocked() {
		return nil
	}
	b := s.free
	s.free, b.next = b.next, nil
	b.n, b.sealed, b.Mark = Size, false, 0
	b.refs.Store(1)
	s.used.Add(1)
	return b
}

// LeaseN fills dst from the front and returns how many slots it got.
func (s *Slab) LeaseN(dst []*Block) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range dst {
		if dst[i] = s.leaseLocked(); dst[i] == nil {
			return i
		}
	}
	return len(dst)
}

// LeaseWait is Lease for pumps, which may wait: it returns nil only when stop is closed.
func (s *Slab) LeaseWait(stop <-chan struct{}) *Block {
	for {
		s.mu.Lock()
		b := s.leaseLocked()
		var room chan struct{}
		if b == nil {
			room = make(chan struct{})
			s.waiting = append(s.waiting, room)
		}
		s.mu.Unlock()
		if b != nil {
			return b
		}
		select {
		case <-room:
		case <-stop:
			return nil
		}
	}
}

// growLocked maps one more extent, within the budget.
func (s *Slab) growLocked() bool {
	n := min(perExtent, s.budget-s.made)
	if n <= 0 {
		return false
	}
	var mem []byte
	if !s.phantom {
		mem = mapExtent(n * Size)
	}
	blocks := make([]Block, n)
	for i := n - 1; i >= 0; i-- {
		b := &blocks[i]
		b.slab = s
		if !s.phantom {
			b.buf = mem[i*Size : (i+1)*Size : (i+1)*Size]
		}
		b.next, s.free = s.free, b
	}
	s.made += n
	return true
}

func (s *Slab) put(b *Block) {
	if mangle && b.buf != nil {
		for i := range b.buf {
			b.buf[i] = 0xCC
		}
	}
	s.used.Add(-1)
	s.mu.Lock()
	b.next, s.free = s.free, b
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, room := range waiting {
		close(room)
	}
}
