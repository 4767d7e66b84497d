package dht

import (
	"bytes"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// ItemLimits cap an ItemStore. Zero fields mean the default.
type ItemLimits struct {
	Items int // default 700, of about 1.2 KB each at most
	Life  clock.Duration
}

// ItemLife is how long an item is kept, unless it is put again. BEP 44: "Without
// re-announcement, these items MAY expire in 2 hours."
const ItemLife = 2 * time.Hour

func (l *ItemLimits) defaults() {
	if l.Items <= 0 {
		l.Items = 700
	}
	if l.Life <= 0 {
		l.Life = ItemLife
	}
}

// ItemStore keeps the items that others put with us (BEP 44). It owns them. Its memory
// is bounded whatever is put.
type ItemStore struct {
	own   ID
	l     ItemLimits
	items []stored // sorted by target
}

// stored is an item and what is needed to judge its claim to a place.
type stored struct {
	target ID
	put    stamp // last time
	Item
}

// NewItemStore is an empty store of the node own.
func NewItemStore(own ID, l ItemLimits) ItemStore {
	l.defaults()
	return ItemStore{own: own, l: l}
}

// SetOwn follows the node to another id.
func (s *ItemStore) SetOwn(own ID) { s.own = own }

// Len counts items.
func (s *ItemStore) Len() int { return len(s.items) }

func (s *ItemStore) find(target ID) (i int, found bool) {
	return slices.BinarySearchFunc(s.items, target, func(t stored, id ID) int { return compareBytes(t.target, id) })
}

// Get is the item under target, nil if there is none. It is the store's and valid until
// the next change; its bytes stay as they are.
func (s *ItemStore) Get(target ID, now clock.Time) *Item {
	if i, ok := s.find(target); ok && s.items[i].put.within(s.l.Life, now) {
		return &s.items[i].Item
	}
	return nil
}

// PutTarget is the key under which a put query wants to store: what its token must
// have been given for.
func PutTarget(m *Msg) ID {
	if m.K != nil {
		return TargetOf([32]byte(m.K), m.Salt)
	}
	return ImmutableTarget(m.V)
}

// Put obeys a put query that Parse accepted and whose token is right. The item is
// copied.
func (s *ItemStore) Put(m *Msg, now clock.Time) *Refusal {
	it := Item{Value: m.V}
	if m.K != nil {
		it.Mutable, it.Key, it.Sig, it.Salt, it.Seq = true, [32]byte(m.K), [64]byte(m.Sig), m.Salt, m.Seq
	}
	target := it.Target()
	i, ok := s.find(target)
	if ok && s.items[i].put.within(s.l.Life, now) {
		if r := s.items[i].mayReplace(&it, m); r != nil {
			return r
		}
	}
	// Last, for it is the work: 100 microseconds a signature.
	if !it.Valid() {
		return refuseSignature
	}
	it.Value, it.Salt = bytes.Clone(it.Value), bytes.Clone(it.Salt)
	return s.store(stored{target, stampOf(now), it}, now)
}

// Refusals of Put.
var (
	refuseSignature = &Refusal{CodeBadSignature, "invalid signature"}
	refuseCAS       = &Refusal{CodeCASMismatch, "CAS mismatch, re-read value and try again"}
	refuseSeq       = &Refusal{CodeSeqTooLow, "sequence number less than current"}
	refuseRoom      = &Refusal{CodeServer, "no room"}
)

// mayReplace applies BEP 44's rules for what is stored already. "Only if the cas
// matches the stored sequence number is the put performed." "Storing nodes receiving a
// put request where seq is lower than or equal to what's already stored on the node,
// MUST reject the request. If the sequence number is equal, and the value is also the
// same, the node SHOULD reset its timeout counter."
func (old *stored) mayReplace(it *Item, m *Msg) *Refusal {
	switch {
	case !it.Mutable:
		return nil
	case m.Has&HasCAS != 0 && m.CAS != old.Seq:
		return refuseCAS
	case it.Seq < old.Seq || it.Seq == old.Seq && !bytes.Equal(it.Value, old.Value):
		return refuseSeq
	}
	return nil
}

// store writes an item that may be written.
func (s *ItemStore) store(n stored, now clock.Time) *Refusal {
	i, ok := s.find(n.target)
	if ok {
		s.items[i] = n
		return nil
	}
	if len(s.items) >= s.l.Items {
		v := s.victim(now)
		if s.claim(&s.items[v], now) >= s.claim(&n, now) {
			return refuseRoom
		}
		s.items = slices.Delete(s.items, v, v+1)
		i, _ = s.find(n.target)
	}
	s.items = slices.Insert(s.items, i, n)
	return nil
}

// claim is how much an item deserves its place: the more leading bits its target
// shares with our id the more likely we are among those who should have it, and one
// that was put again lately is wanted. A bit, half the space, is worth a quarter of an
// item's life.
func (s *ItemStore) claim(it *stored, now clock.Time) int64 {
	age := now.Sub(it.put.time())
	if age > s.l.Life {
		return -1
	}
	return int64(CommonPrefix(s.own, it.target))*int64(s.l.Life)/4 + int64(s.l.Life-age)
}

// victim is the item with the least claim.
func (s *ItemStore) victim(now clock.Time) int {
	v := 0
	for i := range s.items {
		if s.claim(&s.items[i], now) < s.claim(&s.items[v], now) {
			v = i
		}
	}
	return v
}

// Expire forgets items that were not put again. To be called every minute or so.
func (s *ItemStore) Expire(now clock.Time) {
	s.items = slices.DeleteFunc(s.items, func(it stored) bool { return !it.put.within(s.l.Life, now) })
}
