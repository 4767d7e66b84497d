package utpnative

import (
	"math/bits"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

const (
	wheelTick  = time.Millisecond // what deadlines are rounded up to
	wheelBits  = 8
	wheelSlots = 1 << wheelBits
	wheelMask  = wheelSlots - 1
)

// spoke is a link's place in the wheel.
type spoke struct {
	next, prev *link
	due        int64 // tick at which the slot that it is in comes up; 0: in none
	slot       int16
}

// wheel holds the deadlines of all links: a wheel of 256 slots of a millisecond, and
// one of 256 slots of 256 milliseconds behind it, from which links come to the first.
// Nearly every deadline is put off before it comes. So a link stays in its slot when
// its deadline moves away: when the slot comes up it is asked anew. Owner: the mux.
type wheel struct {
	now   int64 // tick up to which everything has been done
	slots [2 * wheelSlots]*link
	used  [2 * wheelSlots / 64]uint64 // which slots are not empty
	n     int
}

func tickAfter(at actor.Time) int64 { return (int64(at) + int64(wheelTick) - 1) / int64(wheelTick) }

// set makes the wheel bring up l at its deadline or earlier.
func (w *wheel) set(l *link, at actor.Time) {
	if at == actor.Never {
		return
	}
	due := max(tickAfter(at), w.now+1)
	if l.spoke.due != 0 {
		if l.spoke.due <= due {
			return
		}
		w.remove(l)
	}
	slot := due & wheelMask
	if due-w.now >= wheelSlots {
		due = min(due>>wheelBits, w.now>>wheelBits+wheelMask) << wheelBits
		slot = wheelSlots + due>>wheelBits&wheelMask
	}
	w.push(l, int16(slot), due)
}

func (w *wheel) push(l *link, slot int16, due int64) {
	head := w.slots[slot]
	l.spoke = spoke{slot: slot, due: due}
	if head == nil {
		l.spoke.next, l.spoke.prev = l, l
		w.slots[slot] = l
		w.used[slot/64] |= 1 << (slot % 64)
	} else {
		last := head.spoke.prev
		l.spoke.next, l.spoke.prev = head, last
		last.spoke.next, head.spoke.prev = l, l
	}
	w.n++
}

// remove takes l out, if it is in.
func (w *wheel) remove(l *link) {
	s := l.spoke
	if s.due == 0 {
		return
	}
	l.spoke = spoke{}
	w.n--
	if s.next == l {
		w.slots[s.slot] = nil
		w.used[s.slot/64] &^= 1 << (s.slot % 64)
		return
	}
	s.next.spoke.prev, s.prev.spoke.next = s.prev, s.next
	if w.slots[s.slot] == l {
		w.slots[s.slot] = s.next
	}
}

// next is when advance has something to do.
func (w *wheel) next() actor.Time {
	if w.n == 0 {
		return actor.Never
	}
	best := int64(1) << 62
	if i := w.ahead(0, w.now+1); i >= 0 {
		best = w.now + 1 + i
	}
	if i := w.ahead(1, w.now>>wheelBits+1); i >= 0 {
		best = min(best, (w.now>>wheelBits+1+i)<<wheelBits)
	}
	return actor.Time(best * int64(wheelTick))
}

// ahead is how many slots of a ring lie empty from a position on; -1 if all are.
func (w *wheel) ahead(ring int, from int64) int64 {
	used := w.used[ring*wheelSlots/64:][:wheelSlots/64]
	for i := int64(0); i < wheelSlots; {
		at := (from + i) & wheelMask
		word := used[at/64] >> (at % 64)
		if word != 0 {
			if i += int64(bits.TrailingZeros64(word)); i < wheelSlots {
				return i
			}
			return -1
		}
		i += 64 - at%64
	}
	return -1
}

// advance takes out the links whose slots have come up by now, in order, and gives
// them to due, which may set them again.
func (w *wheel) advance(now actor.Time, due func(*link)) {
	for upTo := int64(now) / int64(wheelTick); w.now < upTo; {
		if w.n == 0 {
			w.now = upTo
			return
		}
		if at := int64(w.next()) / int64(wheelTick); at > upTo {
			w.now = upTo
			return
		} else {
			w.now = at
		}
		if w.now&wheelMask == 0 {
			w.empty(int(wheelSlots+w.now>>wheelBits&wheelMask), due)
		}
		w.empty(int(w.now&wheelMask), due)
	}
}

func (w *wheel) empty(slot int, due func(*link)) {
	for l := w.slots[slot]; l != nil; l = w.slots[slot] {
		w.remove(l)
		due(l)
	}
}
