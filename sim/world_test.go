package sim_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/sim"
)

// walker passes numbers on to random others, a little later each time, and keeps a
// digest of what it has seen.
type walker struct {
	all  []actor.Ref[step]
	seen uint64
	rest int
}

type step struct {
	n    uint64
	all  []actor.Ref[step]
	tick bool
}

// Digest puts the number into the event hash.
func (s step) Digest() uint64 { return s.n }

func (w *walker) Handle(c *actor.Ctx[step], m step) {
	switch {
	case m.all != nil:
		w.all = m.all
	case m.tick:
		to := w.all[c.Rand().IntN(len(w.all))]
		to.Tell(step{n: w.seen ^ c.Rand().Uint64()})
	default:
		w.seen = w.seen*31 + m.n
		if w.rest--; w.rest > 0 {
			c.After(clock.Duration(c.Rand().IntN(3))*time.Millisecond, step{tick: true})
		}
	}
}

func (w *walker) Check() error {
	if w.rest > 0 && w.seen == 1 {
		return errors.New("never visited")
	}
	return nil
}

// walk runs walkers to quiescence and returns what they saw.
func walk(t *testing.T, cfg sim.Config) (hash uint64, seen string, steps int64) {
	t.Helper()
	w := sim.NewWorld(cfg)
	walkers := make([]*walker, 20)
	var refs []actor.Ref[step]
	for i := range walkers {
		walkers[i] = &walker{seen: 1, rest: 50}
		refs = append(refs, actor.Root(w, actor.Spec{Name: "walker", Limit: 1000}, walkers[i], nil).Ref)
	}
	for i, r := range refs {
		r.Tell(step{all: refs})
		for n := range 3 {
			r.Tell(step{n: uint64(i + 7*n)})
		}
	}
	if !w.Run(clock.Never) {
		t.Fatalf("not quiet: %v", w.Err())
	}
	if err := errors.Join(w.Err(), w.Check()); err != nil {
		t.Fatal(err)
	}
	for _, w := range walkers {
		seen += fmt.Sprintf("%x ", w.seen)
	}
	return w.Hash(), seen, w.Steps()
}

// The same seed gives the same run, on one processor and on two; under Shuffle
// different seeds give different ones.
func TestSeedDecidesTheRun(t *testing.T) {
	for _, order := range []sim.Order{sim.FIFO, sim.Shuffle} {
		hashes := map[uint64]uint64{}
		for seed := range uint64(20) {
			hash, seen, steps := walk(t, sim.Config{Seed: seed, Order: order})
			for _, procs := range []int{1, 2} {
				old := runtime.GOMAXPROCS(procs)
				again, seenAgain, stepsAgain := walk(t, sim.Config{Seed: seed, Order: order})
				runtime.GOMAXPROCS(old)
				if again != hash || seenAgain != seen || stepsAgain != steps {
					t.Fatalf("seed %d, GOMAXPROCS %d: hash %x, then %x; %d steps, then %d", seed, procs, hash, again, steps, stepsAgain)
				}
			}
			if other, ok := hashes[hash]; ok {
				t.Errorf("seeds %d and %d give the same run", seed, other)
			}
			hashes[hash] = seed
		}
	}
}

// speaker notes in a shared list what it hears.
type speaker struct {
	name  string
	heard *[]string
}

func (s *speaker) Handle(_ *actor.Ctx[string], m string) { *s.heard = append(*s.heard, s.name+":"+m) }
func (s *speaker) Flush(*actor.Ctx[string])              { *s.heard = append(*s.heard, s.name+".") }

// meet has six messages reach two actors at one instant, and says how they came.
func meet(cfg sim.Config) string {
	w := sim.NewWorld(cfg)
	var heard []string
	a := actor.Root(w, actor.Spec{Name: "a"}, &speaker{"a", &heard}, nil)
	b := actor.Root(w, actor.Spec{Name: "b"}, &speaker{"b", &heard}, nil)
	w.Run(0)
	heard = nil
	w.After(time.Second, func() {
		for _, m := range []string{"1", "2", "3"} {
			b.Ref.Tell(m)
			a.Ref.Tell(m)
		}
	})
	w.Run(clock.Never)
	return strings.Join(heard, " ")
}

// FIFO: all mail of an instant is one batch, in the order of the wake-ups. Shuffle:
// the seed splits and mixes the batches, never the messages of one sender.
func TestOrder(t *testing.T) {
	const fifo = "b:1 b:2 b:3 b. a:1 a:2 a:3 a."
	runs := map[string]bool{}
	for seed := range uint64(200) {
		if got := meet(sim.Config{Seed: seed}); got != fifo {
			t.Fatalf("FIFO under seed %d: %s", seed, got)
		}
		got := meet(sim.Config{Seed: seed, Order: sim.Shuffle})
		runs[got] = true
		for _, name := range []string{"a", "b"} {
			var mine []string
			for _, h := range strings.Fields(got) {
				if strings.HasPrefix(h, name+":") {
					mine = append(mine, h[2:])
				}
			}
			if !slices.Equal(mine, []string{"1", "2", "3"}) {
				t.Fatalf("Shuffle under seed %d: %s", seed, got)
			}
		}
	}
	// Each actor's three messages come in 4 ways to split them, and the turns mix.
	if len(runs) < 20 || !runs[fifo] {
		t.Errorf("%d different runs", len(runs))
	}
}

// The clock jumps from event to event; events of one time run in the order of their
// making; models may add events for now.
func TestClock(t *testing.T) {
	w := sim.NewWorld(sim.Config{})
	var got []string
	note := func(name string) func() {
		return func() { got = append(got, fmt.Sprintf("%s@%v", name, w.Now())) }
	}
	w.After(2*time.Second, note("c"))
	w.After(time.Second, note("a"))
	w.After(time.Second, func() {
		note("b")()
		w.At(0, note("past")) // at once
		w.After(0, note("now"))
	})
	if w.Run(clock.Time(1500 * time.Millisecond)) {
		t.Error("quiet though c is to come")
	}
	if w.Now() != clock.Time(1500*time.Millisecond) {
		t.Errorf("it is %v", w.Now())
	}
	w.Run(0) // the past: no effect
	if w.Now() != clock.Time(1500*time.Millisecond) {
		t.Errorf("it is %v", w.Now())
	}
	if !w.Run(clock.Never) {
		t.Error("not quiet")
	}
	if s := strings.Join(got, " "); s != "a@1s b@1s past@1s now@1s c@2s" || w.Now() != clock.Time(2*time.Second) {
		t.Errorf("%s; it is %v", s, w.Now())
	}
}

func TestRunUntil(t *testing.T) {
	w := sim.NewWorld(sim.Config{})
	n := 0
	var tick func()
	tick = func() { n++; w.After(time.Second, tick) }
	tick()
	if quiet := w.RunUntil(clock.Never, func() bool { return n == 10 }); quiet || n != 10 {
		t.Errorf("quiet: %v, after %d ticks", quiet, n)
	}
}

// done may tell actors something: it is heard at the same instant.
func TestRunUntilDoneMayAct(t *testing.T) {
	w := sim.NewWorld(sim.Config{})
	var heard []string
	a := actor.Root(w, actor.Spec{Name: "a"}, &speaker{"a", &heard}, nil)
	w.After(time.Hour, func() {})
	told := false
	w.RunUntil(clock.Never, func() bool {
		if !told {
			told = true
			a.Ref.Tell("psst")
		}
		return slices.Contains(heard, "a:psst")
	})
	if w.Now() != 0 || !slices.Contains(heard, "a:psst") {
		t.Errorf("at %v: %v", w.Now(), heard)
	}
}

// keeper keeps an invariant badly.
type keeper struct{ err error }

func (k *keeper) Handle(*actor.Ctx[error], error) {}
func (k *keeper) Check() error                    { return k.err }

// At quiescence every living actor is asked for its invariants.
func TestCheck(t *testing.T) {
	w := sim.NewWorld(sim.Config{})
	good := actor.Root(w, actor.Spec{Name: "good"}, &keeper{}, nil)
	bad := actor.Root(w, actor.Spec{Name: "bad"}, &keeper{errors.New("2 slots out")}, nil)
	gone := actor.Root(w, actor.Spec{Name: "gone"}, &keeper{errors.New("dead")}, nil)
	gone.Stop(nil)
	if !w.Run(clock.Never) {
		t.Error("not quiet")
	}
	if err := w.Check(); err == nil || err.Error() != "bad#2: 2 slots out" {
		t.Error(err)
	}
	if w.Alive() != 2 {
		t.Errorf("%d alive", w.Alive())
	}
	good.Stop(nil)
	bad.Stop(nil)
	w.Run(clock.Never)
	if err := w.Check(); err != nil || w.Alive() != 0 {
		t.Errorf("%v, %d alive", err, w.Alive())
	}
}

// sleepy sets and cancels timers.
type sleepy struct{ timer actor.Timer }

func (s *sleepy) Handle(c *actor.Ctx[clock.Duration], d clock.Duration) {
	c.Cancel(s.timer)
	if d > 0 {
		s.timer = c.After(d, 0)
	}
}

// An actor that ends takes its wake-ups with it: the world is quiet at once.
func TestTheDeadDoNotWake(t *testing.T) {
	w := sim.NewWorld(sim.Config{})
	a := actor.Root(w, actor.Spec{Name: "a", Limit: 10000}, &sleepy{}, nil)
	for i := range 5000 { // earlier and earlier
		a.Ref.Tell(clock.Duration(10000-i) * time.Second)
		w.Run(0)
	}
	a.Stop(nil)
	if !w.Run(clock.Never) || w.Now() != 0 {
		t.Errorf("something was to come until %v", w.Now())
	}
}

// Marks and the content of digested messages count in the hash, and so do ends.
func TestHash(t *testing.T) {
	run := func(play func(w *sim.World, to actor.Child[step])) uint64 {
		w := sim.NewWorld(sim.Config{})
		to := actor.Root(w, actor.Spec{Name: "a"}, &walker{}, nil)
		play(w, to)
		w.Run(clock.Never)
		return w.Hash()
	}
	plays := []func(w *sim.World, to actor.Child[step]){
		func(*sim.World, actor.Child[step]) {},
		func(_ *sim.World, to actor.Child[step]) { to.Ref.Tell(step{n: 1}) },
		func(_ *sim.World, to actor.Child[step]) { to.Ref.Tell(step{n: 2}) },
		func(w *sim.World, to actor.Child[step]) { w.After(1, func() { to.Ref.Tell(step{n: 1}) }) },
		func(w *sim.World, _ actor.Child[step]) { w.Mark(1, 1) },
		func(w *sim.World, _ actor.Child[step]) { w.Mark(1, 2) },
		func(w *sim.World, _ actor.Child[step]) { w.Mark(2, 1) },
		func(w *sim.World, to actor.Child[step]) { to.Stop(nil) },
	}
	seen := map[uint64]int{}
	for i, play := range plays {
		h := run(play)
		if h != run(play) {
			t.Errorf("play %d has two hashes", i)
		}
		if j, ok := seen[h]; ok {
			t.Errorf("plays %d and %d have the same hash", i, j)
		}
		seen[h] = i
	}
}

// A nil message and the trace.
func TestTrace(t *testing.T) {
	var got []string
	w := sim.NewWorld(sim.Config{Trace: func(now clock.Time, to *actor.Cell, m any) {
		got = append(got, fmt.Sprintf("t=%v %v %v", now, to, m))
	}})
	a := actor.Root(w, actor.Spec{Name: "a"}, &keeper{}, nil)
	w.After(time.Second, func() { a.Ref.Tell(nil); a.Ref.Tell(errors.New("x")) })
	w.Run(clock.Never)
	if s := strings.Join(got, "; "); s != "t=1s a#1 <nil>; t=1s a#1 x" {
		t.Error(s)
	}
}
