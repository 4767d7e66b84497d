package actor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/sim"
)

// The clerk's trade: what outsiders may ask.
type (
	double struct {
		n     int
		reply actor.Ref[int]
	}
	fetch   struct{ reply actor.Ref[*parcel] }
	forget  struct{ reply actor.Ref[int] }
	delayed struct{ reply actor.Ref[int] }
)

// clerk answers, but never a forget; a pending delayed when it is stopped.
func clerk() *puppet {
	var pending []actor.Ref[int]
	return &puppet{
		handle: func(c *actor.Ctx[any], m any) {
			switch m := m.(type) {
			case double:
				m.reply.Tell(2 * m.n)
				m.reply.Tell(-1) // a second answer is lost
			case fetch:
				c.After(time.Second, func(*actor.Ctx[any]) { m.reply.Tell(&parcel{}) })
			case delayed:
				pending = append(pending, m.reply)
			}
		},
		stop: func(*actor.Ctx[any], error) {
			for _, r := range pending {
				r.Tell(-2)
			}
		},
	}
}

// ask asks in whichever world the stage is.
func ask[R any](s *stage, to actor.Inlet[any], patience actor.Duration, f func(actor.Ref[R]) any) (R, error) {
	if s.sim != nil {
		return sim.Ask(s.sim, s.sim.Now().Add(patience), to, f)
	}
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	return actor.Ask(ctx, to, f)
}

func TestAsk(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		one := actor.Root(s.w, actor.Spec{Name: "clerk"}, clerk(), nil)
		n, err := ask(s, one.Inlet, time.Minute, func(r actor.Ref[int]) any { return double{21, r} })
		if n != 42 || err != nil {
			s.Errorf("%d, %v", n, err)
		}
		through := actor.AdaptInlet(one.Inlet, func(n int) any { return n })
		if n, err := ask(s, one.Inlet, time.Minute, func(r actor.Ref[int]) any { return double{4, r} }); n != 8 || err != nil {
			s.Errorf("%d, %v", n, err)
		}
		p, err := ask(s, one.Inlet, time.Minute, func(r actor.Ref[*parcel]) any { return fetch{r} })
		if p == nil || err != nil || p.dropped.Load() != 0 {
			s.Errorf("%v, %v", p, err)
		}
		began := s.w.Now()
		if _, err := ask(s, one.Inlet, 10*time.Second, func(r actor.Ref[int]) any { return forget{r} }); err == nil {
			s.Error("an answer from nowhere")
		} else if s.live != nil && !errors.Is(err, context.DeadlineExceeded) {
			s.Error(err)
		}
		if waited := s.w.Now().Sub(began); s.live != nil && waited != 10*time.Second {
			s.Errorf("waited for %v", waited)
		}
		one.Stop(nil)
		s.rest()
		for range 2 {
			if _, err := ask(s, one.Inlet, time.Second, func(r actor.Ref[int]) any { return double{1, r} }); !errors.Is(err, actor.ErrStopped) {
				s.Error(err)
			}
		}
		if !through.Ended() {
			s.Error("the adapted door does not know that its actor has ended")
		}
		if _, err := ask(s, actor.Inlet[any]{}, time.Second, func(r actor.Ref[int]) any { return double{1, r} }); !errors.Is(err, actor.ErrStopped) {
			s.Error(err)
		}
	})
}

// A stop answers what is pending, else the end itself is the answer.
func TestAskOfOneWhoEnds(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		one := actor.Root(s.w, actor.Spec{Name: "clerk"}, clerk(), nil)
		stopSoon := func(r actor.Ref[int], m any) any {
			one.Ref.Tell(func(c *actor.Ctx[any]) {
				c.After(time.Second, func(c *actor.Ctx[any]) { c.Quit(nil) })
			})
			return m
		}
		n, err := ask(s, one.Inlet, time.Minute, func(r actor.Ref[int]) any { return stopSoon(r, delayed{r}) })
		if n != -2 || err != nil {
			s.Errorf("%d, %v", n, err)
		}
		two := actor.Root(s.w, actor.Spec{Name: "clerk"}, clerk(), nil)
		one = two
		n, err = ask(s, two.Inlet, time.Minute, func(r actor.Ref[int]) any { return stopSoon(r, forget{r}) })
		if n != 0 || !errors.Is(err, actor.ErrStopped) {
			s.Errorf("%d, %v", n, err)
		}
	})
}

// An answer that has come is one, whatever else has happened meanwhile.
func TestAskAnsweredAndStopped(t *testing.T) {
	inLive(t, func(s *stage) {
		one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{}, nil)
		n, err := actor.Ask(s.Context(), one.Inlet, func(r actor.Ref[int]) any {
			r.Tell(5)
			one.Stop(nil)
			synctest.Wait()
			return "too late"
		})
		if n != 5 || err != nil {
			s.Errorf("%d, %v", n, err)
		}
	})
}

// An answer that comes when nobody waits any more is dropped.
func TestAskTooLate(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		late := &parcel{}
		var reply actor.Ref[*parcel]
		one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{handle: func(_ *actor.Ctx[any], m any) {
			reply = m.(fetch).reply
		}}, nil)
		if _, err := ask(s, one.Inlet, time.Second, func(r actor.Ref[*parcel]) any { return fetch{r} }); err == nil {
			s.Error("an answer from nowhere")
		}
		reply.Tell(late)
		if late.dropped.Load() != 1 {
			s.Error("not dropped")
		}
		one.Stop(nil)
	})
}

// Ask waits its turn at a full mailbox, like any outsider.
func TestAskOfABusyActor(t *testing.T) {
	inLive(t, func(s *stage) {
		g := closedGate()
		one := actor.Root(s.w, actor.Spec{Name: "clerk", Pump: 1}, clerk(), nil)
		one.Ref.Tell(g.hold)
		<-g.in
		got := make(chan int)
		for i := range 10 {
			go func() {
				n, err := actor.Ask(s.Context(), one.Inlet, func(r actor.Ref[int]) any { return double{i, r} })
				if n != 2*i || err != nil {
					s.Errorf("%d, %v", n, err)
				}
				got <- n
			}()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		if _, err := actor.Ask(ctx, one.Inlet, func(r actor.Ref[int]) any { return double{1, r} }); !errors.Is(err, context.DeadlineExceeded) {
			s.Error(err)
		}
		close(g.out)
		for range 10 {
			<-got
		}
		one.Stop(nil)
	})
}
