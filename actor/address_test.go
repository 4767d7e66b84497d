package actor_test

import (
	"fmt"
	"testing"

	"github.com/shoal-bt/shoal/actor"
)

func TestWindow(t *testing.T) {
	w := actor.Window{Max: 3}
	w.Take(2)
	if w.Open() != 1 {
		t.Errorf("%d open", w.Open())
	}
	w.Take(1)
	w.Give(3)
	if w.Open() != 3 || w.Used != 0 {
		t.Errorf("%+v", w)
	}
	w.Take(3)
	w.Max = 1 // lowered while full
	if w.Open() != 0 {
		t.Errorf("%d open", w.Open())
	}
}

func TestWindowMisusePanics(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(w *actor.Window)
	}{
		{"beyond Max", func(w *actor.Window) { w.Take(3) }},
		{"an answer nobody asked for", func(w *actor.Window) { w.Give(2) }},
		{"negative take", func(w *actor.Window) { w.Take(-1) }},
		{"negative give", func(w *actor.Window) { w.Give(-1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := actor.Window{Max: 3, Used: 1}
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
				if w.Used != 1 {
					t.Errorf("changed to %d", w.Used)
				}
			}()
			c.f(&w)
		})
	}
}

// A service answers in its own words; its customer hears them in his.
func TestAdapt(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		customer := s.root(&j, "customer", reader(&j))
		in := actor.Adapt(customer.Ref, func(n int) any { return fmt.Sprint("number ", n) })
		signals := actor.Adapt(customer.Ref, func(n int) any { return state{1, n, &parcel{}} })
		door := actor.AdaptInlet(customer.Inlet, func(n int) any { return fmt.Sprint("pumped ", n) })
		in.Tell(1)
		s.want(&j, "number 1")
		if !in.Offer(2) {
			s.Error("not taken")
		}
		s.want(&j, "number 2")
		signals.Notify(3)
		s.want(&j, "state1=3")
		if !door.TryPut(4) {
			s.Error("not taken")
		}
		s.want(&j, "pumped 4")
		if s.live != nil {
			if err := door.Put(s.Context(), 5); err != nil {
				s.Error(err)
			}
			s.want(&j, "pumped 5")
		}
		if in.ID() != customer.Ref.ID() {
			s.Error("an adapted address has another id")
		}
		customer.Stop(nil)
		s.want(&j, "customer ended: <nil>")
	})
}

// What an adapter carries is dropped with its message.
func TestAdaptDrops(t *testing.T) {
	type written struct{ *parcel }
	var nobody actor.Ref[any]
	to := actor.Adapt(nobody, func(p *parcel) any { return written{p} })
	all := parcels(3)
	to.Tell(all[0])
	to.Notify(all[1])
	if to.Offer(all[2]) {
		t.Error("taken by nobody")
	}
	if _, dropped := account(t, all); dropped != 3 {
		t.Errorf("%d dropped", dropped)
	}
	var shut actor.Inlet[any]
	if door := actor.AdaptInlet(shut, func(p *parcel) any { return p }); !door.Ended() || door.IsZero() {
		t.Error("an adapted door to nowhere is open")
	}
	if to.ID() != 0 || to.IsZero() {
		t.Error("an adapted address of nobody has an id")
	}
}

func TestFuncRef(t *testing.T) {
	var got []int
	r := actor.FuncRef(func(n int) { got = append(got, n) })
	r.Tell(1)
	r.Notify(2)
	if !r.Offer(3) || fmt.Sprint(got) != "[1 2 3]" || r.ID() != 0 {
		t.Errorf("%v", got)
	}
}

// Addresses are values: equal if they lead to the same actor.
func TestRefsCompare(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{}, nil)
		two := actor.Root(s.w, actor.Spec{Name: "two"}, &puppet{}, nil)
		var self actor.Ref[any]
		var id uint64
		one.Ref.Tell(func(c *actor.Ctx[any]) { self, id = c.Self(), c.ID() })
		s.rest()
		if self != one.Ref || self == two.Ref || id != one.Ref.ID() || one.Ref.ID() >= two.Ref.ID() {
			s.Errorf("%v %v %v", self, one.Ref, two.Ref)
		}
		one.Stop(nil)
		two.Stop(nil)
	})
}

// Every actor has a stream of randomness of its own; in the simulator, a stable one.
func TestRand(t *testing.T) {
	draw := func(s *stage) (drawn []uint64) {
		for range 3 {
			one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{start: func(c *actor.Ctx[any]) {
				drawn = append(drawn, c.Rand().Uint64(), c.Rand().Uint64())
				if r := c.Rand(); r != c.Rand() {
					s.Error("a new stream at each use")
				}
			}}, nil)
			s.rest()
			one.Stop(nil)
		}
		s.rest()
		return drawn
	}
	var all [][]uint64
	inBothWorlds(t, func(s *stage) {
		drawn := draw(s)
		seen := map[uint64]bool{}
		for _, v := range drawn {
			if seen[v] {
				s.Errorf("%x drawn twice in %x", v, drawn)
			}
			seen[v] = true
		}
		all = append(all, drawn)
	})
	if fmt.Sprint(all[1]) != fmt.Sprint(all[2]) { // fifo and shuffle, both of seed 0
		t.Errorf("same seed, %x and %x", all[1], all[2])
	}
	if fmt.Sprint(all[2]) == fmt.Sprint(all[3]) {
		t.Error("different seeds draw the same")
	}
}
