package sim

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// Order says how the mail that reaches actors at one instant is handed out.
type Order uint8

const (
	// FIFO gives each runnable actor all its mail, in the order of their wake-ups.
	FIFO Order = iota
	// Shuffle lets the seed choose who runs next and how much of its mail it sees.
	Shuffle
)

// Actors that tell each other something without end, and without a timer or a model
// in between, keep the clock from moving. After this many turns and events at one
// instant the run fails.
const (
	endless     = 1 << 22
	endlessEach = 1 << 10 // more for each actor alive
)

// Config configures a World.
type Config struct {
	Seed   uint64
	Order  Order
	Logger *slog.Logger // default: discards
	// Trace, if set, sees each message just before it is handled.
	Trace func(now clock.Time, to *actor.Cell, m any)
}

// World is the seeded [actor.World]. Everything in it belongs to the one goroutine
// that calls Run.
type World struct {
	cfg     Config
	now     clock.Time
	order   *rand.Rand // draws of Shuffle
	events  eventHeap
	seq     uint64
	queue   runnable
	cells   []*actor.Cell // alive or nil, by id-1
	alive   int
	armed   []*event // wake-ups to come or nil, by id-1
	hash    hasher
	steps   int64
	still   int // turns and events at this instant, of which there may be
	endless int // so many, and some for each actor
	fails   []error
	stopped bool
}

// NewWorld makes an empty world at time zero.
func NewWorld(cfg Config) *World {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &World{
		cfg:     cfg,
		order:   rand.New(rand.NewPCG(mix(cfg.Seed), 0)),
		hash:    newHasher(),
		endless: endless,
	}
}

// Now implements actor.World.
func (w *World) Now() clock.Time { return w.now }

// Rand gives each id its own stream under the seed. The words are mixed, since PCG
// streams of neighbouring states begin alike.
func (w *World) Rand(id uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(w.cfg.Seed), mix(w.cfg.Seed+id)))
}

// Logger implements actor.World.
func (w *World) Logger() *slog.Logger { return w.cfg.Logger }

// Born implements actor.World.
func (w *World) Born(c *actor.Cell) uint64 {
	w.cells, w.armed = append(w.cells, c), append(w.armed, nil)
	w.alive++
	return uint64(len(w.cells))
}

// Gone implements actor.World.
func (w *World) Gone(c *actor.Cell) {
	i := c.ID() - 1
	if e := w.armed[i]; e != nil {
		w.events.remove(e)
	}
	w.cells[i], w.armed[i] = nil, nil
	w.alive--
	w.hash.mark(w.now, gone, c.ID())
}

// Ready implements actor.World.
func (w *World) Ready(c *actor.Cell) { w.queue.push(c) }

// Arm implements actor.World.
func (w *World) Arm(c *actor.Cell, at clock.Time) {
	if e := &w.armed[c.ID()-1]; *e != nil {
		w.move(*e, at)
	} else {
		*e = w.push(at, nil, c)
	}
}

// Crashed implements actor.World: in the simulator a panic is a failure of the run.
func (w *World) Crashed(c *actor.Cell, v any, stack []byte) {
	w.Fail(fmt.Errorf("%v: panic: %v\n%s", c, v, stack))
}

// Overflow implements actor.World: a broken window is a failure of the run.
func (w *World) Overflow(c *actor.Cell, n, limit int) {
	w.Fail(fmt.Errorf("%v: %d messages wait, its windows allow %d", c, n, limit))
}

// Handled implements actor.Observer: every delivery goes into the event hash.
func (w *World) Handled(c *actor.Cell, m any) {
	w.hash.event(w.now, c.ID(), m)
	if w.cfg.Trace != nil {
		w.cfg.Trace(w.now, c, m)
	}
}

// At runs f at time t (at once, in its turn, if t has passed). Models use it; what
// they deliver must be decided by the seed and the events before.
func (w *World) At(t clock.Time, f func()) { w.push(t, f, nil) }

// After runs f d from now.
func (w *World) After(d clock.Duration, f func()) { w.At(w.now.Add(d), f) }

// Mark adds a model's own event to the hash.
func (w *World) Mark(what, value uint64) { w.hash.mark(w.now, what, value) }

// Hash returns the hash of all events so far.
func (w *World) Hash() uint64 { return w.hash.sum() }

// Steps returns how many turns actors have had.
func (w *World) Steps() int64 { return w.steps }

// Fail records a failure and stops the run.
func (w *World) Fail(err error) {
	w.fails = append(w.fails, err)
	w.stopped = true
}

// Err returns all failures.
func (w *World) Err() error { return errors.Join(w.fails...) }

// Run lets the world live until the time given, or until nothing is left to
// happen, or a failure. It reports whether it reached quiescence: nothing runnable
// and no event to come.
func (w *World) Run(until clock.Time) (quiet bool) {
	return w.RunUntil(until, func() bool { return false })
}

// RunUntil is Run that also ends when done, asked after each instant, says so.
func (w *World) RunUntil(until clock.Time, done func() bool) (quiet bool) {
	for !w.stopped {
		w.settle()
		if done() || w.stopped {
			return false
		}
		e, at := w.events.peek()
		switch {
		case w.queue.n > 0: // done has told somebody something
			continue
		case e == nil:
			return true
		case at > until:
			w.advance(until)
			return false
		}
		w.advance(at)
		w.fire()
	}
	return false
}

// settle lets actors run until none is runnable at this instant.
func (w *World) settle() {
	for w.queue.n > 0 && w.moves() {
		c, limit := w.pick()
		w.steps++
		if c.Step(limit) {
			w.queue.push(c)
		}
	}
}

// moves reports whether the run may go on, and counts what happens at one instant.
func (w *World) moves() bool {
	if w.still++; w.still > w.endless+endlessEach*w.alive && !w.stopped {
		w.Fail(fmt.Errorf("time stands still at %v: %d turns and events, and no end", w.now, w.still))
	}
	return !w.stopped
}

// pick takes the next runnable actor and how much mail it may see (0: all).
func (w *World) pick() (c *actor.Cell, limit int) {
	if w.cfg.Order == Shuffle {
		return w.queue.any(w.order), w.order.IntN(4)
	}
	return w.queue.first(), 0
}

// advance moves the clock.
func (w *World) advance(to clock.Time) {
	if to > w.now {
		w.now, w.still = to, 0
	}
}

// fire runs all events of this instant.
func (w *World) fire() {
	for e, at := w.events.peek(); e != nil && at <= w.now && w.moves(); e, at = w.events.peek() {
		w.events.remove(e)
		if e.cell != nil {
			w.armed[e.cell.ID()-1] = nil
			e.cell.Wake()
			continue
		}
		e.f()
	}
}

// Check asks every actor for its invariants; call it at quiescence.
func (w *World) Check() error {
	var errs []error
	for _, c := range w.cells {
		if c == nil {
			continue
		}
		if ch, ok := c.Actor().(actor.Checker); ok {
			if err := ch.Check(); err != nil {
				errs = append(errs, fmt.Errorf("%v: %w", c, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Alive returns the number of actors that have not ended.
func (w *World) Alive() int { return w.alive }
