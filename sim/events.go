package sim

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// event is something to come: a model's function or an actor's wake-up.
type event struct {
	at   clock.Time
	seq  uint64
	f    func()
	cell *actor.Cell
}

// eventHeap orders events by (at, seq): a total order, so runs repeat.
type eventHeap []*event

func (w *World) push(at clock.Time, f func(), c *actor.Cell) *event {
	w.seq++
	e := &event{at: max(at, w.now), seq: w.seq, f: f, cell: c}
	w.events = append(w.events, e)
	w.events.up(len(w.events) - 1)
	return e
}

func (h eventHeap) peek() *event {
	if len(h) == 0 {
		return nil
	}
	return h[0]
}

func (h *eventHeap) pop() *event {
	s := *h
	e, last := s[0], len(s)-1
	s[0], s[last] = s[last], nil
	*h = s[:last]
	if last > 1 {
		h.down(0)
	}
	return e
}

func (h eventHeap) less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}

func (h eventHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
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
		h[i], h[small] = h[small], h[i]
		i = small
	}
}
