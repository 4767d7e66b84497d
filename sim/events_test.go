package sim

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// A random life of the event heap against a sorted list.
func TestEventsAgainstModel(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		w := NewWorld(Config{})
		var model []*event // by (at, age)
		sort := func() {
			slices.SortStableFunc(model, func(a, b *event) int { return int(a.at - b.at) })
		}
		for range 500 {
			switch n := rng.IntN(6); {
			case n < 3:
				e := w.push(clock.Time(rng.IntN(50)), nil, nil)
				model = append(model, e)
			case len(model) == 0:
			case n == 3:
				i := rng.IntN(len(model))
				e := model[i]
				w.move(e, clock.Time(rng.IntN(50)))
				model = append(slices.Delete(model, i, i+1), e)
			case n == 4:
				i := rng.IntN(len(model))
				w.events.remove(model[i])
				model = slices.Delete(model, i, i+1)
			default:
				w.events.remove(model[0])
				model = model[1:]
			}
			sort()
			if len(model) > 0 && w.events.peek() != model[0] || len(model) == 0 && w.events.peek() != nil {
				t.Fatalf("seed %d: the first is not the first", seed)
			}
		}
		for _, e := range model {
			if w.events.peek() != e {
				t.Fatalf("seed %d: out of order", seed)
			}
			w.events.remove(e)
		}
	}
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
