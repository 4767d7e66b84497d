package sim

import (
	"reflect"

	"github.com/shoal-bt/shoal/internal/clock"
)

// Digester is a message whose content goes into the event hash. Without it a
// message counts by its type, receiver and time.
type Digester interface {
	Digest() uint64
}

// hasher folds the stream of events into one number: FNV-1a over words.
type hasher struct {
	h     uint64
	types map[reflect.Type]uint64
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
	gone      = 1<<64 - 1 // the mark of an actor's end
)

// mix is the finalizer of SplitMix64: near words become far ones.
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

func newHasher() hasher {
	return hasher{h: fnvOffset, types: map[reflect.Type]uint64{}}
}

func (h *hasher) word(v uint64) {
	h.h = (h.h ^ v) * fnvPrime
	h.h ^= h.h >> 29
}

func (h *hasher) event(now clock.Time, to uint64, m any) {
	h.word(uint64(now))
	h.word(to)
	h.word(h.typeOf(m))
	if d, ok := m.(Digester); ok {
		h.word(d.Digest())
	}
}

func (h *hasher) mark(now clock.Time, what, value uint64) {
	h.word(uint64(now))
	h.word(what)
	h.word(value)
}

// typeOf hashes the type's name: pointers and registration order must not matter.
func (h *hasher) typeOf(m any) uint64 {
	t := reflect.TypeOf(m)
	if t == nil {
		return 0
	}
	if v, ok := h.types[t]; ok {
		return v
	}
	v := uint64(fnvOffset)
	for _, b := range []byte(t.String()) {
		v = (v ^ uint64(b)) * fnvPrime
	}
	h.types[t] = v
	return v
}

func (h *hasher) sum() uint64 { return h.h }
