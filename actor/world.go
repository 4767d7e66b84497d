package actor

import (
	"log/slog"
	"math/rand/v2"
)

// World is the whole seam between production and simulation: it numbers actors,
// tells the time and decides when a runnable one takes its turn.
type World interface {
	Now() Time
	// Rand returns a stream of randomness for the actor of this id.
	Rand(id uint64) *rand.Rand
	Logger() *slog.Logger
	// Born registers a cell and returns its id, which is never 0.
	Born(*Cell) uint64
	// Gone says that a cell has ended.
	Gone(*Cell)
	// Ready says that a cell has become runnable. The world calls its Step once,
	// and again for as long as Step asks for it.
	Ready(*Cell)
	// Arm asks for Wake at a time. A later call for the same cell with an
	// earlier time replaces it; waking too early does no harm.
	Arm(c *Cell, at Time)
	// Crashed reports a panic in a cell's actor, which ends that actor.
	Crashed(c *Cell, v any, stack []byte)
	// Overflow reports a broken window: n messages wait at a cell with this limit.
	Overflow(c *Cell, n, limit int)
}

// Observer is a World that wants to see each message as it is handled, for event
// hashes and traces.
type Observer interface {
	Handled(c *Cell, m any)
}
