package engine

import (
	"time"

	"github.com/shoal-bt/shoal/actor"
)

const (
	rateSlots = 8
	rateSlot  = actor.Time(500 * time.Millisecond)
)

// rateMeter measures bytes a second over the last four seconds, or since it began
// to count if that is less. It needs no timer: what is old falls out when it is
// read. The zero meter is ready.
type rateMeter struct {
	slots [rateSlots]int64 // bytes, by slot of time modulo rateSlots
	first actor.Time       // slot at which counting began; meaningless while sum is 0
	last  actor.Time       // newest slot
	sum   int64
}

// add counts n bytes.
func (m *rateMeter) add(now actor.Time, n int64) {
	m.advance(now)
	if m.sum == 0 {
		m.first = now / rateSlot
	}
	m.slots[m.last%rateSlots] += n
	m.sum += n
}

// rate returns bytes a second.
func (m *rateMeter) rate(now actor.Time) int64 {
	m.advance(now)
	if m.sum == 0 {
		return 0
	}
	from := max(m.first, m.last-rateSlots+1) * rateSlot
	// A shorter time than a slot would turn the first block into a flood.
	ms := int64(max(now-from, rateSlot)) / int64(time.Millisecond)
	return m.sum * 1000 / ms
}

// advance empties the slots of the time that has passed.
func (m *rateMeter) advance(now actor.Time) {
	slot := now / rateSlot
	if slot-m.last >= rateSlots {
		m.slots, m.sum = [rateSlots]int64{}, 0
	}
	for m.last < slot {
		m.last++
		if m.sum > 0 {
			m.sum -= m.slots[m.last%rateSlots]
			m.slots[m.last%rateSlots] = 0
		} else {
			m.last = slot
		}
	}
}
