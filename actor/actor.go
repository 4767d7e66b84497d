package actor

import (
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/shoal-bt/shoal/internal/clock"
)

// Time is a moment on the world's clock, in nanoseconds.
type Time = clock.Time

// Duration is a span in nanoseconds.
type Duration = clock.Duration

// Never lies after every moment that a world can reach.
const Never = clock.Never

// An Actor is a state machine that takes messages of type M, which should be a
// sealed interface. Handle owns the actor's state while it runs and never waits.
type Actor[M any] interface {
	Handle(c *Ctx[M], m M)
}

// A Starter has a first turn, before its first message and before its Stop, even if
// it was stopped before it could run: what Stop releases, Start has seen.
type Starter[M any] interface {
	Start(c *Ctx[M])
}

// A Flusher has a turn once after each batch of messages: handlers change state,
// Flush decides what goes out.
type Flusher[M any] interface {
	Flush(c *Ctx[M])
}

// A Stopper has a last turn. It answers every request that is still pending and
// releases what it owns; why is nil after a plain stop. It is not called after a
// panic: the state is not to be trusted then.
type Stopper[M any] interface {
	Stop(c *Ctx[M], why error)
}

// A Dropper carries something that must be given back when the message can't be
// delivered: the receiver has stopped, or has enough hints, or a newer signal came.
// Drop is called once, on the turn of whoever notices; it must not wait. A message
// that Handle has been called for is the actor's own, also if it panics then.
type Dropper interface {
	Drop()
}

// A Signal is a whole state that [Ref.Notify] may replace by a newer one of the
// same kind before it is delivered. Kinds are small numbers, unique per receiver.
type Signal interface {
	SignalKind() uint8
}

// A Checker states its invariants. The simulator calls Check at quiescence, when
// nothing is runnable and no mail is on the way: every window must be empty then
// and every lease ended.
type Checker interface {
	Check() error
}

// Spec names an actor and bounds its mailbox.
type Spec struct {
	Name  string // of the kind, such as "peer"; the id tells them apart
	Limit int    // told messages waiting: the sum of the windows that end here (default 64)
	Pump  int    // messages of pumps and outsiders waiting before Put waits (default 8)
	Offer int    // hints waiting before further ones are dropped (default 64)
}

// Exit says that an actor has ended: Err is nil after a plain stop.
type Exit struct {
	Name string
	ID   uint64
	Err  error
}

// String prints the exit for logs.
func (e Exit) String() string { return fmt.Sprintf("%s#%d: %v", e.Name, e.ID, e.Err) }

// Ctx is what an actor may ask of its world. It is valid during a turn only.
type Ctx[M any] struct {
	p   *proc[M]
	now Time
}

// Now returns the time at which this batch began; it is the same for the whole batch.
func (c *Ctx[M]) Now() Time { return c.now }

// Self returns the actor's own address.
func (c *Ctx[M]) Self() Ref[M] { return Ref[M]{c.p} }

// ID returns the actor's number, unique in its world and stable under a seed.
func (c *Ctx[M]) ID() uint64 { return c.p.id }

// Rand returns the actor's own stream of randomness, made at its first use.
func (c *Ctx[M]) Rand() *rand.Rand {
	if c.p.rng == nil {
		c.p.rng = c.p.world.Rand(c.p.id)
	}
	return c.p.rng
}

// Log returns the world's logger. Do not log per block.
func (c *Ctx[M]) Log() *slog.Logger { return c.p.world.Logger() }

// After makes m arrive as a message of this actor's own, d from now.
func (c *Ctx[M]) After(d Duration, m M) Timer { return c.p.timers.add(c.now.Add(max(d, 0)), m) }

// Cancel takes a timer back and reports whether it was still to come. A cancelled
// timer's message is never delivered; it is dropped if it is a [Dropper].
func (c *Ctx[M]) Cancel(t Timer) bool {
	m, ok := c.p.timers.remove(t)
	if ok {
		drop(m)
	}
	return ok
}

// Quit ends the actor after the present message. Its parent and watchers get Exit.
func (c *Ctx[M]) Quit(why error) {
	if !c.p.quit {
		c.p.quit, c.p.why = true, why
	}
}
