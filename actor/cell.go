package actor

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// ErrStopped is the answer for whoever asks an actor that has ended.
var ErrStopped = errors.New("actor: stopped")

// ErrFlooded ends an actor whose mailbox grew far beyond its limit.
var ErrFlooded = errors.New("actor: mailbox flooded beyond its limit")

// PanicError is the Err of an Exit after a panic.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// floodFactor times the limit is accepted, and reported, before a flooded actor
// is stopped: a miscounted window should not take a torrent down at once.
const floodFactor = 4

type runState uint8

const (
	idle    runState = iota // nothing to do; no goroutine knows of it
	queued                  // the world will call Step
	running                 // Step is running
	dead
)

// Cell is an actor with its mailbox, its type erased: what a World handles.
type Cell struct {
	world World
	id    uint64
	name  string
	body  body
	up    *Cell        // parent, nil for a root
	exit  func(Exit)   // tells parent or owner
	armed atomic.Int64 // the time for which the world will wake us; Never if none

	mu       sync.Mutex
	state    runState
	stopping bool // no mail is accepted any more
	stopWhy  error
	stopSet  bool // Stop has been asked for
	kids     kidList
	prev     *Cell // in the parent's list, under the parent's mu
	next     *Cell
	watchers []*watcher
}

// body is the typed part of a cell.
type body interface {
	turn(limit int)
	pendingLocked() bool
	closeLocked() (drop func())
	actor() any
}

type watcher struct{ f func(Exit) }

// ID returns the cell's number, unique in its world.
func (c *Cell) ID() uint64 { return c.id }

// Name returns the kind of actor.
func (c *Cell) Name() string { return c.name }

// String prints kind and number, "peer#12".
func (c *Cell) String() string { return fmt.Sprintf("%s#%d", c.name, c.id) }

// Actor returns the actor itself, for a world's checks while nothing runs.
func (c *Cell) Actor() any { return c.body.actor() }

// Wake makes the cell runnable; the world calls it when the armed time has come.
func (c *Cell) Wake() {
	c.armed.Store(int64(Never))
	c.mu.Lock()
	ready := c.readyLocked()
	c.mu.Unlock()
	if ready {
		c.world.Ready(c)
	}
}

func (c *Cell) readyLocked() bool {
	if c.state != idle {
		return false
	}
	c.state = queued
	return true
}

// Step gives the actor one turn of at most limit messages (0: all that wait) and
// reports whether it wants another. Only the world calls it, after Ready.
func (c *Cell) Step(limit int) (again bool) {
	c.mu.Lock()
	if c.state != queued {
		c.mu.Unlock()
		return false
	}
	c.state = running
	c.mu.Unlock()
	c.body.turn(limit)

	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == dead:
		return false
	case c.body.pendingLocked():
		c.state = queued
		return true
	}
	c.state = idle
	return false
}

// rearm asks the world to wake the cell at next, unless it will be woken by then.
func (c *Cell) rearm(next Time) {
	if next < Time(c.armed.Load()) {
		c.armed.Store(int64(next))
		c.world.Arm(c, next)
	}
}

// stop asks the cell to end. It goes ahead of the mail.
func (c *Cell) stop(why error) {
	c.mu.Lock()
	if c.stopSet || c.state == dead {
		c.mu.Unlock()
		return
	}
	c.stopSet, c.stopWhy = true, why
	ready := c.readyLocked()
	c.mu.Unlock()
	if ready {
		c.world.Ready(c)
	}
}

// beginStop closes the mailbox, stops the children and reports whether there are none.
func (c *Cell) beginStop() (childless bool) {
	c.mu.Lock()
	drop := c.body.closeLocked()
	c.stopping = true
	kids := c.kids.all()
	c.mu.Unlock()
	drop()
	for _, k := range kids {
		k.stop(nil)
	}
	return len(kids) == 0
}

// finish ends the cell and tells everybody who wants to know.
func (c *Cell) finish(why error) {
	c.mu.Lock()
	c.state, c.stopping = dead, true
	drop := c.body.closeLocked()
	watchers := c.watchers
	c.watchers = nil
	c.mu.Unlock()
	drop()
	e := Exit{Name: c.name, ID: c.id, Err: why}
	for _, w := range watchers {
		w.f(e)
	}
	if c.exit != nil {
		c.exit(e)
	}
	if c.up != nil {
		c.up.childGone(c)
	}
	c.world.Gone(c)
}

// childGone runs on the child's turn, as its last act.
func (c *Cell) childGone(k *Cell) {
	c.mu.Lock()
	c.kids.remove(k)
	ready := c.stopping && c.kids.n == 0 && c.readyLocked()
	c.mu.Unlock()
	if ready {
		c.world.Ready(c)
	}
}

// adopt adds a child; it reports false when the parent is already ending.
func (c *Cell) adopt(k *Cell) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping || c.state == dead {
		return false
	}
	c.kids.add(k)
	return true
}

func (c *Cell) watch(f func(Exit)) *watcher {
	w := &watcher{f}
	c.mu.Lock()
	if c.state == dead {
		c.mu.Unlock()
		f(Exit{Name: c.name, ID: c.id, Err: ErrStopped})
		return w
	}
	c.watchers = append(c.watchers, w)
	c.mu.Unlock()
	return w
}

func (c *Cell) unwatch(w *watcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, x := range c.watchers {
		if x == w {
			c.watchers = append(c.watchers[:i], c.watchers[i+1:]...)
			return
		}
	}
}

// crashed isolates a panic: only this cell ends, with its children.
func (c *Cell) crashed(v any) error {
	e := &PanicError{Value: v, Stack: debug.Stack()}
	c.world.Crashed(c, v, e.Stack)
	return e
}

// kidList is a doubly linked list through the children, in the order of their birth.
type kidList struct {
	first, last *Cell
	n           int
}

func (l *kidList) add(k *Cell) {
	k.prev = l.last
	if l.last != nil {
		l.last.next = k
	} else {
		l.first = k
	}
	l.last = k
	l.n++
}

func (l *kidList) remove(k *Cell) {
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		l.first = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	} else {
		l.last = k.prev
	}
	k.prev, k.next = nil, nil
	l.n--
}

func (l *kidList) all() []*Cell {
	kids := make([]*Cell, 0, l.n)
	for k := l.first; k != nil; k = k.next {
		kids = append(kids, k)
	}
	return kids
}
