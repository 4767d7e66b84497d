package engine

import "github.com/shoal-bt/shoal/internal/bits"

// haveSet is a set of pieces that costs nothing when it is full, as at a seed with
// thousands of connections.
type haveSet struct {
	some   *bits.Set // nil: all of pieces, or none if empty
	empty  bool
	pieces int32
}

// tidy lets a full or empty set's memory go.
func (h *haveSet) tidy() {
	if h.some == nil {
		h.empty = true
		return
	}
	if full := h.some.Full(); full || h.some.None() {
		h.some, h.empty = nil, !full
	}
}

func (h *haveSet) full() bool { return h.some == nil && !h.empty }
func (h *haveSet) none() bool { return h.some == nil && h.empty }

func (h *haveSet) has(i int32) bool {
	if h.some != nil {
		return h.some.Has(i)
	}
	return !h.empty && uint32(i) < uint32(h.pieces)
}

// add reports whether i is new.
func (h *haveSet) add(i int32) bool {
	if h.some == nil {
		if !h.empty || uint32(i) >= uint32(h.pieces) {
			return false
		}
		s := bits.New(h.pieces)
		h.some, h.empty = &s, false
	}
	added := h.some.Set(i)
	h.tidy()
	return added
}

// remove reports whether i was there.
func (h *haveSet) remove(i int32) bool {
	if !h.has(i) {
		return false
	}
	if h.some == nil {
		s := bits.New(h.pieces)
		s.SetAll()
		h.some = &s
	}
	h.some.Clear(i)
	h.tidy()
	return true
}

// wire returns the set as BEP 3 writes a bitfield.
func (h *haveSet) wire() []byte {
	if h.some != nil {
		return h.some.AppendWire(nil)
	}
	s := bits.New(h.pieces)
	if !h.empty {
		s.SetAll()
	}
	return s.AppendWire(nil)
}
