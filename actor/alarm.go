package actor

import (
	"sync"
	"time"
)

// alarm wakes the cells of a live world: a heap of (time, cell) behind one runtime
// timer, however many actors there are. A cell stands in it at most once.
type alarm struct {
	l  *Live
	mu sync.Mutex
	// heap is ordered by at; Cell.pos finds a cell in it.
	heap  []alarmEntry
	timer *time.Timer
	set   Time // what the timer is set to
}

type alarmEntry struct {
	at Time
	c  *Cell
}

func (a *alarm) init(l *Live) {
	a.l, a.set = l, Never
	a.timer = time.AfterFunc(time.Hour, a.ring)
	a.timer.Stop()
}

func (a *alarm) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer.Stop()
}

// arm sets the cell's wake-up to at.
func (a *alarm) arm(c *Cell, at Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.pos >= 0 {
		a.heap[c.pos].at = at
	} else {
		c.pos = len(a.heap)
		a.heap = append(a.heap, alarmEntry{at, c})
	}
	a.down(c.pos)
	a.up(c.pos)
	a.reset()
}

func (a *alarm) disarm(c *Cell) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.pos >= 0 {
		a.removeAt(c.pos)
	}
}

// reset sets the runtime timer to the first deadline, if that is earlier than what
// it is set to. A ring too early is harmless: it sets the timer anew.
func (a *alarm) reset() {
	if len(a.heap) == 0 || a.heap[0].at >= a.set {
		return
	}
	a.set = a.heap[0].at
	a.timer.Reset(time.Duration(max(a.set-a.l.Now(), 0)))
}

// ring wakes every cell whose time has come.
func (a *alarm) ring() {
	a.mu.Lock()
	now := a.l.Now()
	var due []*Cell
	for len(a.heap) > 0 && a.heap[0].at <= now {
		due = append(due, a.heap[0].c)
		a.removeAt(0)
	}
	a.set = Never
	a.reset()
	a.mu.Unlock()
	for _, c := range due {
		c.Wake()
	}
}

func (a *alarm) removeAt(i int) {
	last := len(a.heap) - 1
	a.heap[i].c.pos = -1
	if i < last {
		a.heap[i] = a.heap[last]
		a.heap[i].c.pos = i
	}
	a.heap[last] = alarmEntry{}
	a.heap = a.heap[:last]
	if i < last {
		a.down(i)
		a.up(i)
	}
}

func (a *alarm) swap(i, j int) {
	a.heap[i], a.heap[j] = a.heap[j], a.heap[i]
	a.heap[i].c.pos, a.heap[j].c.pos = i, j
}

func (a *alarm) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if a.heap[parent].at <= a.heap[i].at {
			return
		}
		a.swap(i, parent)
		i = parent
	}
}

func (a *alarm) down(i int) {
	for {
		small := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(a.heap); child++ {
			if a.heap[child].at < a.heap[small].at {
				small = child
			}
		}
		if small == i {
			return
		}
		a.swap(i, small)
		i = small
	}
}
