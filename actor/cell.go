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

// Unwrap returns what was panicked with, if that was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

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
	kid   node         // in the parent's list, under the parent's mu; tells the owner of our end
	armed atomic.Int64 // the time for which the world will wake us; Never if none
	pos   int          // in the live world's alarm, under its mu; -1 if absent

	// watching is whose ends we want to know. Owner: whoever runs the turn.
	watching []*node

	mu       sync.Mutex // guards all below, and the mailbox
	state    runState
	woken    bool  // a wake-up came during the turn
	closed   bool  // no mail is accepted any more
	ending   bool  // the last turn is over, but for the ends of the children
	stopSet  bool  // Stop has been asked for
	stopWhy  error // after the end: what Exit said
	kids     list
	watchers list
}

// body is the typed part of a cell.
type body interface {
	takeLocked(limit int)       // moves mail from the box to the turn
	turn()                      // one turn of the actor
	settleLocked() (more bool)  // puts the batch away
	closeLocked() (drop func()) // empties the box for good
	actor() any
}

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
	// A turn that is just ending may have found the wake-up still armed, and so set
	// no other: it must take another turn.
	c.woken = c.state == running
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
	c.state, c.woken = running, false
	c.body.takeLocked(limit)
	c.mu.Unlock()

	c.body.turn()

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == dead {
		return false
	}
	if c.body.settleLocked() || c.woken {
		c.state = queued
		return true
	}
	c.state = idle
	return false
}

func (c *Cell) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == dead
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
	if c.stopSet || c.ending || c.state == dead {
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

// crash isolates a panic: only this cell ends, with its children.
func (c *Cell) crash(v any) error {
	e := &PanicError{Value: v, Stack: debug.Stack()}
	c.world.Crashed(c, v, e.Stack)
	return e
}

// guard runs code that is not the actor's own on its last turn.
func (c *Cell) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			_ = c.crash(v)
		}
	}()
	f()
}
