package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// A random life of the event heap against a sorted list.
func TestEventsAgainstModel(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		w := NewWorld(Config{})
		var model []planned // by (at, age)
		sort := func() {
			slices.SortStableFunc(model, func(a, b planned) int { return int(a.at - b.at) })
		}
		for range 500 {
			switch n := rng.IntN(6); {
			case n < 3:
				at := clock.Time(rng.IntN(50))
				model = append(model, planned{w.push(at, nil, nil), at})
			case len(model) == 0:
			case n == 3:
				i := rng.IntN(len(model))
				p := planned{model[i].e, clock.Time(rng.IntN(50))}
				w.move(p.e, p.at)
				model = append(slices.Delete(model, i, i+1), p)
			case n == 4:
				i := rng.IntN(len(model))
				w.events.remove(model[i].e)
				model = slices.Delete(model, i, i+1)
			default:
				w.events.remove(model[0].e)
				model = model[1:]
			}
			sort()
			if e, at := w.events.peek(); len(model) > 0 && (planned{e, at}) != model[0] || len(model) == 0 && e != nil {
				t.Fatalf("seed %d: the first is not the first", seed)
			}
		}
		for _, p := range model {
			if e, at := w.events.peek(); (planned{e, at}) != p {
				t.Fatalf("seed %d: out of order", seed)
			}
			w.events.remove(p.e)
		}
	}
}

// planned is an event and when it is to happen.
type planned struct {
	e  *event
	at clock.Time
}

func TestRunnable(t *testing.T) {
	var q runnable
	cells := make([]actor.Cell, 500)
	rng := rand.New(rand.NewPCG(4, 4))
	in, out := 0, 0
	for out < len(cells) {
		if in < len(cells) && rng.IntN(3) > 0 {
			q.push(&cells[in])
			in++
		} else if q.n > 0 {
			if q.first() != &cells[out] {
				t.Fatalf("not the %d-th", out)
			}
			out++
		}
	}
	for i := range cells {
		q.push(&cells[i])
	}
	seen := map[*actor.Cell]bool{}
	for q.n > 0 {
		seen[q.any(rng)] = true
	}
	if len(seen) != len(cells) {
		t.Errorf("%d of %d drawn", len(seen), len(cells))
	}
}

// Two actors that chat without end, and never let time pass, fail the run.
func TestEndlessChatFails(t *testing.T) {
	w := NewWorld(Config{})
	w.endless = 10_000
	a := actor.Root(w, actor.Spec{Name: "a"}, &chatter{}, nil)
	b := actor.Root(w, actor.Spec{Name: "b"}, &chatter{}, nil)
	a.Ref.Tell(chat{b.Ref})
	w.After(time.Hour, func() { t.Error("time went on") })
	if w.Run(clock.Never) || w.Err() == nil || !strings.Contains(w.Err().Error(), "time stands still at 0s") {
		t.Error(w.Err())
	}
}

type chat struct{ from actor.Ref[chat] }

// chatter answers everybody.
type chatter struct{}

func (*chatter) Handle(c *actor.Ctx[chat], m chat) { m.from.Tell(chat{c.Self()}) }

// A model that goes round in circles at one instant fails the run, too; one that
// lets a nanosecond pass each time does not.
func TestEndlessEventsFail(t *testing.T) {
	for _, pause := range []time.Duration{0, 1} {
		w := NewWorld(Config{})
		w.endless = 10_000
		n := 0
		var again func()
		again = func() {
			if n++; n < 20_000 {
				w.After(pause, again)
			}
		}
		again()
		if quiet := w.Run(clock.Never); quiet != (pause > 0) || (w.Err() != nil) != (pause == 0) {
			t.Errorf("pause %v: quiet %v, %v", pause, quiet, w.Err())
		}
	}
}

// BenchmarkWorld is a turn of one message, with 1,000 actors runnable.
func BenchmarkWorld(b *testing.B) {
	for _, order := range []Order{FIFO, Shuffle} {
		b.Run([]string{"fifo", "shuffle"}[order], func(b *testing.B) {
			w := NewWorld(Config{Order: order})
			left := b.N
			for range 1000 {
				r := actor.Root(w, actor.Spec{Name: "r"}, &self{&left}, nil).Ref
				r.Tell(struct{}{})
			}
			b.ReportAllocs()
			for left > 0 {
				w.still = 0
				w.RunUntil(0, func() bool { return true })
			}
		})
	}
}

type self struct{ left *int }

func (s *self) Handle(c *actor.Ctx[struct{}], m struct{}) {
	if *s.left--; *s.left > 0 {
		c.Self().Tell(m)
	}
}
