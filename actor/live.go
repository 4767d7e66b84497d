package actor

import (
	crand "crypto/rand"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// LiveConfig configures a [Live] world. The zero value is good.
type LiveConfig struct {
	Workers int                                // goroutines that run actors; default GOMAXPROCS
	Logger  *slog.Logger                       // default: discards
	Crash   func(c *Cell, v any, stack []byte) // told of panics, after the log; for tests
	Flood   func(c *Cell, waiting, limit int)  // told of broken windows, after the log; for tests
}

// liveBatch is how many messages an actor may handle in one turn, so that a stop and
// the other actors do not wait long for a busy one.
const liveBatch = 256

// Live is the real world: actors run on a few goroutines and the real clock. An
// idle actor costs no goroutine and no runtime timer.
type Live struct {
	cfg    LiveConfig
	start  time.Time
	nextID atomic.Uint64

	// Crashes and Floods count panics and broken windows since the start.
	Crashes, Floods atomic.Int64

	mu     sync.Mutex // guards all below
	cond   *sync.Cond
	queue  runQueue
	spare  int // workers that wait for work
	alive  int // cells
	closed bool
	wg     sync.WaitGroup

	alarm alarm
}

// NewLive makes a world and starts its workers.
func NewLive(cfg LiveConfig) *Live {
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Live{cfg: cfg, start: time.Now()}
	l.cond = sync.NewCond(&l.mu)
	l.alarm.init(l)
	for range cfg.Workers {
		l.wg.Go(l.work)
	}
	return l
}

// Close waits until every actor has ended, which is their owners' business, and
// then ends the workers.
func (l *Live) Close() {
	l.mu.Lock()
	l.closed = true
	l.cond.Broadcast()
	l.mu.Unlock()
	l.wg.Wait()
	l.alarm.stop()
}

// Now returns the time since the world was made.
func (l *Live) Now() Time { return Time(time.Since(l.start)) }

// Wall returns the calendar time of t.
func (l *Live) Wall(t Time) time.Time { return l.start.Add(Duration(t)) }

// Rand returns a stream seeded by the operating system.
func (l *Live) Rand(uint64) *rand.Rand {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails, says its documentation
	return rand.New(rand.NewChaCha8(seed))
}

// Logger returns the configured logger.
func (l *Live) Logger() *slog.Logger { return l.cfg.Logger }

// Born implements World.
func (l *Live) Born(*Cell) uint64 {
	l.mu.Lock()
	l.alive++
	l.mu.Unlock()
	return l.nextID.Add(1)
}

// Gone implements World.
func (l *Live) Gone(c *Cell) {
	l.alarm.disarm(c)
	l.mu.Lock()
	l.alive--
	if l.closed && l.alive == 0 {
		l.cond.Broadcast()
	}
	l.mu.Unlock()
}

// Ready implements World. (To wake fewer workers, on the bet that a busy one will
// come for the cell soon, gains nothing measurable: a Cond with nobody left to wake
// costs next to nothing. And the bet is lost to every long turn.)
func (l *Live) Ready(c *Cell) {
	l.mu.Lock()
	l.queue.push(c)
	if l.spare > 0 {
		l.cond.Signal()
	}
	l.mu.Unlock()
}

// Arm implements World.
func (l *Live) Arm(c *Cell, at Time) { l.alarm.arm(c, at) }

// Crashed implements World.
func (l *Live) Crashed(c *Cell, v any, stack []byte) {
	l.Crashes.Add(1)
	l.cfg.Logger.Error("actor panicked: this is a bug", "actor", c.String(), "panic", v, "stack", string(stack))
	if l.cfg.Crash != nil {
		l.cfg.Crash(c, v, stack)
	}
}

// Overflow implements World.
func (l *Live) Overflow(c *Cell, n, limit int) {
	l.Floods.Add(1)
	l.cfg.Logger.Warn("mailbox over its limit: this is a bug", "actor", c.String(), "waiting", n, "limit", limit)
	if l.cfg.Flood != nil {
		l.cfg.Flood(c, n, limit)
	}
}

// work runs actors until the world is closed and empty.
func (l *Live) work() {
	ended := false
	defer func() {
		if ended {
			return
		}
		v := recover() // an actor's panic does not come as far as this
		if v == nil {
			v = "actor: a handler called runtime.Goexit, as FailNow of a test does"
		}
		panic(v)
	}()
	for c := l.next(nil); c != nil; {
		if c.Step(liveBatch) {
			c = l.next(c)
		} else {
			c = l.next(nil)
		}
	}
	ended = true
}

// next waits for a runnable actor; nil is the end. A cell that wants another turn
// goes behind the others: one busy actor starves nobody.
func (l *Live) next(again *Cell) *Cell {
	l.mu.Lock()
	defer l.mu.Unlock()
	if again != nil {
		l.queue.push(again)
	}
	for l.queue.n == 0 {
		if l.closed && l.alive == 0 {
			return nil
		}
		l.spare++
		l.cond.Wait()
		l.spare--
	}
	return l.queue.pop()
}
