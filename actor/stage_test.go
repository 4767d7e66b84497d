package actor_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/sim"
)

// TestMain fails when a test has left a goroutine of ours behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaked(); code == 0 && left != "" {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of goroutines other than the caller's that run code of
// this repository. Those that are on their way out are given the time for it.
func leaked() (left string) {
	for range 10_000 {
		buf := make([]byte, 1<<20)
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		left = ""
		for _, s := range stacks[1:] {
			if strings.Contains(s, "shoal-bt/shoal/") {
				left += s + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
		runtime.Gosched()
	}
	return left
}

// stage is a world for one test, live in a bubble of virtual time or simulated.
type stage struct {
	*testing.T
	w    actor.World
	live *actor.Live // nil in the simulator
	sim  *sim.World  // nil live

	// rest returns when nothing happens any more at this instant.
	rest func()
	// pass lets time pass.
	pass func(actor.Duration)
}

// inBothWorlds runs a play live and in both orders of the simulator. Every actor
// must have ended when it returns.
func inBothWorlds(t *testing.T, play func(s *stage)) {
	t.Run("live", func(t *testing.T) { inLive(t, play) })
	t.Run("sim/fifo", func(t *testing.T) { inSim(t, sim.Config{}, play) })
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("sim/shuffle/", seed), func(t *testing.T) {
			inSim(t, sim.Config{Seed: seed, Order: sim.Shuffle}, play)
		})
	}
}

var simFIFO = sim.Config{Order: sim.FIFO}

func inLive(t *testing.T, play func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := actor.NewLive(actor.LiveConfig{Workers: 2})
		play(&stage{T: t, w: w, live: w, rest: synctest.Wait, pass: func(d actor.Duration) {
			time.Sleep(d) // of the bubble
			synctest.Wait()
		}})
		w.Close()
		if n := w.Crashes.Load() + w.Floods.Load(); n != 0 && !expected(t) {
			t.Errorf("%d crashes or floods in a play that has none", n)
		}
	})
}

func inSim(t *testing.T, cfg sim.Config, play func(s *stage)) {
	t.Helper()
	w := sim.NewWorld(cfg)
	s := &stage{T: t, w: w, sim: w}
	s.pass = func(d actor.Duration) { w.Run(w.Now().Add(d)) }
	s.rest = func() { s.pass(0) }
	play(s)
	s.rest()
	if err := w.Err(); err != nil && !expected(t) {
		t.Error(err)
	}
	if n := w.Alive(); n != 0 && w.Err() == nil {
		t.Errorf("%d actors have not ended", n)
	}
}

// expected reports whether a play is about crashes or floods.
func expected(t *testing.T) bool {
	return strings.Contains(t.Name(), "Crash") || strings.Contains(t.Name(), "Flood")
}

// puppet is an actor of functions, each of which may be nil.
type puppet struct {
	start  func(c *actor.Ctx[any])
	handle func(c *actor.Ctx[any], m any)
	flush  func(c *actor.Ctx[any])
	stop   func(c *actor.Ctx[any], why error)
	check  func() error
}

func (p *puppet) Start(c *actor.Ctx[any]) {
	if p.start != nil {
		p.start(c)
	}
}

func (p *puppet) Handle(c *actor.Ctx[any], m any) {
	if f, ok := m.(func(*actor.Ctx[any])); ok { // do this
		f(c)
		return
	}
	if p.handle != nil {
		p.handle(c, m)
	}
}

func (p *puppet) Flush(c *actor.Ctx[any]) {
	if p.flush != nil {
		p.flush(c)
	}
}

func (p *puppet) Stop(c *actor.Ctx[any], why error) {
	if p.stop != nil {
		p.stop(c, why)
	}
}

func (p *puppet) Check() error {
	if p.check != nil {
		return p.check()
	}
	return nil
}

// root makes a puppet without a parent, whose end goes into the journal.
func (s *stage) root(j *journal, name string, p *puppet) actor.Child[any] {
	return actor.Root(s.w, actor.Spec{Name: name}, p, j.exit(name))
}

// journal is what was seen, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) exit(name string) func(actor.Exit) {
	return func(e actor.Exit) { j.add("%s ended: %v", name, e.Err) }
}

// take returns what was seen since the last take.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := strings.Join(j.lines, "; ")
	j.lines = nil
	return s
}

// want fails the test unless exactly this was seen since the last want.
func (s *stage) want(j *journal, lines ...string) {
	s.Helper()
	s.rest()
	if got, want := j.take(), strings.Join(lines, "; "); got != want {
		s.Errorf("seen:\n  %s\nwant:\n  %s", got, want)
	}
}

// parcel is a message with payload: it must be handled or dropped, once.
type parcel struct {
	handled, dropped atomic.Int32
}

func (p *parcel) Drop() { p.dropped.Add(1) }

// parcels makes n parcels.
func parcels(n int) []*parcel {
	all := make([]*parcel, n)
	for i := range all {
		all[i] = &parcel{}
	}
	return all
}

// account counts what became of parcels, and fails the test if one was lost or
// came to two ends.
func account(t *testing.T, all []*parcel) (handled, dropped int) {
	t.Helper()
	for i, p := range all {
		h, d := int(p.handled.Load()), int(p.dropped.Load())
		if h+d != 1 {
			t.Fatalf("parcel %d was handled %d times and dropped %d times", i, h, d)
		}
		handled, dropped = handled+h, dropped+d
	}
	return handled, dropped
}
