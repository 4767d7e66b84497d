package actor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/sim"
)

// polite asks its partner as much as its window allows, and answers everything.
type polite struct {
	to     actor.Ref[any]
	window actor.Window
	left   int // requests to make
	asked  int // requests answered by us
}

type question struct{ from actor.Ref[any] }
type answer struct{}
type partner struct{ actor.Ref[any] }

func (p *polite) Handle(_ *actor.Ctx[any], m any) {
	switch m := m.(type) {
	case partner:
		p.to = m.Ref
	case question:
		p.asked++
		m.from.Tell(answer{})
	case answer:
		p.window.Give(1)
	}
}

func (p *polite) Flush(c *actor.Ctx[any]) {
	for !p.to.IsZero() && p.left > 0 && p.window.Open() > 0 {
		p.left--
		p.window.Take(1)
		p.to.Tell(question{c.Self()})
	}
}

func (p *polite) Check() error {
	if p.window.Used != 0 || p.left != 0 {
		return errors.New("window not empty")
	}
	return nil
}

// Two actors flood each other through windows: both get everything, no mailbox goes
// over its limit, which is the sum of the windows.
func TestTwoActorsFloodEachOtherInWindows(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		const window, requests = 10, 5000
		one := &polite{window: actor.Window{Max: window}, left: requests}
		two := &polite{window: actor.Window{Max: window}, left: requests}
		spec := actor.Spec{Name: "polite", Limit: 2 * window} // their questions, and their answers to ours
		a := actor.Root(s.w, spec, one, nil)
		b := actor.Root(s.w, spec, two, nil)
		a.Ref.Tell(partner{b.Ref})
		b.Ref.Tell(partner{a.Ref})
		s.rest()
		if one.asked != requests || two.asked != requests {
			s.Errorf("%d and %d of %d requests answered", one.asked, two.asked, requests)
		}
		if err := errors.Join(one.Check(), two.Check()); err != nil {
			s.Error(err)
		}
		if s.sim != nil {
			if err := s.sim.Check(); err != nil {
				s.Error(err)
			}
		}
		a.Stop(nil)
		b.Stop(nil)
	})
}

// rude sends its partner two messages for each that it gets, without a window.
func rude(all *[]*parcel) *puppet {
	var to actor.Ref[any]
	return &puppet{handle: func(_ *actor.Ctx[any], m any) {
		switch m := m.(type) {
		case partner:
			to = m.Ref
		case *parcel:
			m.handled.Add(1)
		}
		for range 2 {
			p := &parcel{}
			*all = append(*all, p)
			to.Tell(p)
		}
	}}
}

// Two actors flood each other without windows: the world reports it, the one that
// is flooded is stopped, the other one lives, nothing hangs and nothing is lost.
func TestFloodWithoutWindowsEndsTheReceiver(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		var all [2][]*parcel
		var two [2]actor.Child[any]
		for i := range two {
			two[i] = actor.Root(s.w, actor.Spec{Name: "rude", Limit: 100}, rude(&all[i]), j.exit("rude"))
		}
		two[0].Ref.Tell(partner{two[1].Ref})
		two[1].Ref.Tell(partner{two[0].Ref})
		s.rest()
		if got := j.take(); !strings.HasPrefix(got, "rude ended: "+actor.ErrFlooded.Error()) {
			s.Error(got)
		}
		if s.live.Floods.Load() == 0 {
			s.Error("the world was not told")
		}
		for _, c := range two {
			c.Stop(nil)
		}
		s.rest()
		handled, dropped := account(s.T, append(all[0], all[1]...))
		if handled == 0 || dropped == 0 {
			s.Errorf("%d handled, %d dropped", handled, dropped)
		}
	})
}

// A flooded mailbox closes at once, not when its actor next has a turn: until then
// it could take any amount.
func TestFloodIsCutOffDuringATurn(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		g := closedGate()
		one := actor.Root(s.w, actor.Spec{Name: "one", Limit: 10, Pump: 1}, reader(&j), j.exit("one"))
		one.Ref.Tell(g.hold)
		<-g.in
		if err := one.Inlet.Put(s.Context(), "pumped"); err != nil {
			s.Error(err)
		}
		waits := make(chan error)
		go func() { waits <- one.Inlet.Put(s.Context(), "waits") }()
		all := parcels(1000)
		for i, p := range all {
			one.Ref.Tell(p)
			if n := p.dropped.Load(); i > 40 && n != 1 || i < 40 && n != 0 {
				s.Fatalf("message %d dropped %d times", i, n)
			}
		}
		if err := <-waits; !errors.Is(err, actor.ErrStopped) {
			s.Error(err)
		}
		if n := s.live.Floods.Load(); n != 1 {
			s.Errorf("reported %d times", n)
		}
		close(g.out)
		s.want(&j, "one ended: "+actor.ErrFlooded.Error())
		if _, dropped := account(s.T, all); dropped != 1000 {
			s.Errorf("%d dropped", dropped)
		}
	})
}

// Over the limit but not far: production carries on, the simulator fails.
func TestFloodALittle(t *testing.T) {
	play := func(s *stage) {
		n := 0
		one := actor.Root(s.w, actor.Spec{Name: "one", Limit: 10}, &puppet{
			handle: func(*actor.Ctx[any], any) { n++ },
		}, nil)
		s.rest()
		one.Ref.Tell(func(c *actor.Ctx[any]) {
			for i := range 40 {
				c.Self().Tell(i)
			}
		})
		s.rest()
		switch {
		case s.live != nil && (n != 40 || s.live.Floods.Load() != 1):
			s.Errorf("%d handled, %d reports", n, s.live.Floods.Load())
		case s.sim != nil && (s.sim.Err() == nil || !strings.Contains(s.sim.Err().Error(), "one#1: 11 messages wait, its windows allow 10")):
			s.Error(s.sim.Err())
		}
		one.Stop(nil)
	}
	t.Run("live", func(t *testing.T) { inLive(t, play) })
	t.Run("sim", func(t *testing.T) { inSim(t, sim.Config{}, play) })
}

// Exits need no window: a parent of many children that all end at once is not flooded.
func TestExitsDoNotCount(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		exits := 0
		root := actor.Root(s.w, actor.Spec{Name: "root", Limit: 1}, &puppet{
			start: func(c *actor.Ctx[any]) {
				for range 1000 {
					child := actor.Spawn(c, actor.Spec{Name: "child"}, &puppet{}, func(e actor.Exit) any { return e })
					actor.Watch(c, child.Ref, func(e actor.Exit) any { return e })
					child.Stop(nil)
				}
			},
			handle: func(_ *actor.Ctx[any], m any) { exits++ },
		}, nil)
		s.rest()
		if exits != 2000 {
			s.Errorf("%d exits, want 2000", exits)
		}
		root.Stop(nil)
	})
}
