package sim

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// event is something to come: a model's function or an actor's wake-up.
type event struct {
	at   clock.Time
	seq  uint64
	pos  int // in the heap
	f    func()
	cell *actor.Cell
}

// eventHeap orders events by (at, seq): a total order, so runs repeat.
type eventHeap []*event

func (w *World) push(at clock.Time, f func(), c *actor.Cell) *event {
	w.seq++
	e := &event{at: max(at, w.now), seq: w.seq, pos: len(w.events), f: f, cell: c}
	w.events = append(w.events, e)
	w.events.up(e.pos)
	return e
}

// move gives an event that is in the heap another time, as if it were new.
func (w *World) move(e *event, at clock.Time) {
	w.seq++
	e.at, e.seq = max(at, w.now), w.seq
	w.events.down(e.pos)
	w.events.up(e.pos)
}

func (h eventHeap) peek() *event {
	if len(h) == 0 {
		return nil
	}
	return h[0]
}

func (h *eventHeap) remove(e *event) {
	s := *h
	i, last := e.pos, len(s)-1
	if i != last {
		h.swap(i, last)
	}
	s[last] = nil
	*h = s[:last]
	if i != last {
		h.down(i)
		h.up(i)
	}
}

func (h eventHeap) less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}

func (h eventHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h eventHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h eventHeap) down(i int) {
	for {
		small := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h.less(child, small) {
				small = child
			}
		}
		if small == i {
			return
		}
		h.swap(i, small)
		i = small
	}
}
