package sim

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// event is something to come: a model's function or an actor's wake-up.
type event struct {
	pos  int // in the heap
	f    func()
	cell *actor.Cell
}

// slot is an event's place in the heap, with what it is ordered by: comparing two
// does not touch their events.
type slot struct {
	at  clock.Time
	seq uint64
	e   *event
}

func (a *slot) before(b *slot) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// eventHeap orders events by (at, seq): a total order, so runs repeat. Each node has
// four children, which lie side by side.
type eventHeap []slot

func (w *World) push(at clock.Time, f func(), c *actor.Cell) *event {
	e := &event{f: f, cell: c}
	w.again(e, at)
	return e
}

// again enters an event that is not in the heap.
func (w *World) again(e *event, at clock.Time) {
	w.seq++
	w.events = append(w.events, slot{})
	w.events.up(len(w.events)-1, slot{max(at, w.now), w.seq, e})
}

// move gives an event that is in the heap another time, as if it were new.
func (w *World) move(e *event, at clock.Time) {
	w.seq++
	w.events.place(e.pos, slot{max(at, w.now), w.seq, e})
}

// peek returns the first event and its time, nil if there is none.
func (h eventHeap) peek() (*event, clock.Time) {
	if len(h) == 0 {
		return nil, 0
	}
	return h[0].e, h[0].at
}

func (h *eventHeap) remove(e *event) {
	s := *h
	i, last := e.pos, len(s)-1
	moved := s[last]
	s[last] = slot{}
	*h = s[:last]
	if i != last {
		h.place(i, moved)
	}
}

// place puts x into the hole at i, or where it belongs above or below.
func (h eventHeap) place(i int, x slot) {
	if i > 0 && x.before(&h[(i-1)/4]) {
		h.up(i, x)
	} else {
		h.down(i, x)
	}
}

// up fills the hole at i with x, after parents that come later have moved down.
func (h eventHeap) up(i int, x slot) {
	for i > 0 {
		parent := (i - 1) / 4
		if !x.before(&h[parent]) {
			break
		}
		h.set(i, h[parent])
		i = parent
	}
	h.set(i, x)
}

// down fills the hole at i with x, after children that come earlier have moved up.
func (h eventHeap) down(i int, x slot) {
	for first := 4*i + 1; first < len(h); first = 4*i + 1 {
		small := first
		for child := first + 1; child < min(first+4, len(h)); child++ {
			if h[child].before(&h[small]) {
				small = child
			}
		}
		if !h[small].before(&x) {
			break
		}
		h.set(i, h[small])
		i = small
	}
	h.set(i, x)
}

func (h eventHeap) set(i int, x slot) {
	h[i] = x
	x.e.pos = i
}
