package actor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// Timers fire in the order of their times; of the same time, in that of their setting.
func TestTimerOrder(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		p := reader(&j)
		began := s.w.Now()
		p.handle = func(c *actor.Ctx[any], m any) { j.add("%v at %v", m, c.Now().Sub(began)) }
		p.start = func(c *actor.Ctx[any]) {
			c.After(3*time.Second, "d")
			c.After(2*time.Second, "b")
			c.After(2*time.Second, "c")
			c.After(time.Second, "a")
			c.After(-time.Second, "now")
		}
		one := s.root(&j, "one", p)
		s.want(&j, "now at 0s")
		s.pass(time.Hour)
		s.want(&j, "a at 1s", "b at 2s", "c at 2s", "d at 3s")
		one.Stop(nil)
		s.rest()
	})
}

// A deadline that is set later may be earlier, and one that is taken back leaves the
// others standing.
func TestEarlierTimerSetLater(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		p := reader(&j)
		one := s.root(&j, "one", p)
		var early actor.Timer
		for i, d := range []time.Duration{time.Hour, time.Minute, time.Second, 2 * time.Minute} {
			one.Ref.Tell(func(c *actor.Ctx[any]) {
				timer := c.After(d, d)
				if i == 2 {
					early = timer
				}
			})
			s.rest()
		}
		one.Ref.Tell(func(c *actor.Ctx[any]) { c.Cancel(early) })
		s.pass(time.Minute - 1)
		s.want(&j)
		s.pass(1)
		s.want(&j, "1m0s")
		s.pass(time.Minute)
		s.want(&j, "2m0s")
		s.pass(time.Hour)
		s.want(&j, "1h0m0s")
		one.Stop(nil)
		s.rest()
	})
}

// A cancelled timer never fires, even if it was due in this very batch.
func TestCancelIsExact(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		lost := &parcel{}
		var timers [4]actor.Timer
		p := &puppet{start: func(c *actor.Ctx[any]) {
			for i := range timers {
				timers[i] = c.After(time.Second, fmt.Sprint("timer ", i))
			}
			timers[3] = c.After(time.Second, lost)
		}}
		p.handle = func(c *actor.Ctx[any], m any) {
			j.add("%v", m)
			for i, t := range timers {
				j.add("%d:%v", i, c.Cancel(t))
			}
		}
		one := s.root(&j, "one", p)
		s.pass(time.Second)
		s.want(&j, "timer 0", "0:false", "1:true", "2:true", "3:true",
			"timer 3", "0:false", "1:false", "2:false", "3:false")
		if lost.dropped.Load() != 1 {
			s.Error("the cancelled message was not dropped")
		}
		one.Ref.Tell(func(c *actor.Ctx[any]) {
			if c.Cancel(actor.Timer{}) {
				s.Error("the zero timer was cancelled")
			}
		})
		one.Stop(nil)
		s.rest()
	})
}

// A timer for "at once" comes after the mail that waits, again and again: neither
// starves the other.
func TestTimerAtOnceStarvesNothing(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		mail, ticks := 0, 0
		one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{handle: func(c *actor.Ctx[any], m any) {
			switch m {
			case "tick":
				ticks++
				if mail < 100 {
					c.After(0, "tick")
				}
			case "mail":
				if mail++; mail < 100 {
					c.Self().Tell("mail")
				}
			}
		}}, nil)
		one.Ref.Tell("tick")
		one.Ref.Tell("mail")
		s.rest()
		if mail != 100 || ticks < 2 {
			s.Errorf("%d mails, %d ticks", mail, ticks)
		}
		one.Stop(nil)
	})
}

// Now stands still during a batch.
func TestNowIsThatOfTheBatch(t *testing.T) {
	inLive(t, func(s *stage) {
		one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{}, nil)
		one.Ref.Tell(func(c *actor.Ctx[any]) {
			began := c.Now()
			time.Sleep(time.Second) // only a test would
			if c.Now() != began {
				s.Errorf("time went on by %v", c.Now().Sub(began))
			}
		})
		s.pass(2 * time.Second)
		one.Stop(nil)
	})
}

// Many actors with a deadline that they move all the time: each fires when due, none
// is lost, though wake-ups meet turns.
func TestMovingDeadlines(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		const actors, moves = 50, 40
		fired := 0
		root := actor.Root(s.w, actor.Spec{Name: "root", Limit: actors}, &puppet{
			start: func(c *actor.Ctx[any]) {
				for range actors {
					actor.Spawn(c, actor.Spec{Name: "mover"}, mover(moves, c.Self()), nil)
				}
			},
			handle: func(*actor.Ctx[any], any) { fired++ },
		}, nil)
		s.pass(time.Minute)
		if fired != actors {
			s.Errorf("%d of %d deadlines came", fired, actors)
		}
		root.Stop(nil)
	})
}

// mover moves its deadline with each tick, and reports when it has come, which must
// be exactly a second after the last move.
func mover(moves int, boss actor.Ref[any]) *puppet {
	var deadline actor.Timer
	var due actor.Time
	p := &puppet{start: func(c *actor.Ctx[any]) { c.After(0, "tick") }}
	p.handle = func(c *actor.Ctx[any], m any) {
		if m == "deadline" {
			if moves != 0 || c.Now() != due {
				panic(fmt.Sprintf("deadline at %v, due at %v, %d moves to come", c.Now(), due, moves))
			}
			boss.Tell("done")
			return
		}
		c.Cancel(deadline)
		due = c.Now().Add(time.Second)
		deadline = c.After(time.Second, "deadline")
		if moves--; moves > 0 {
			c.After(time.Duration(1+c.Rand().IntN(900))*time.Millisecond, "tick")
		}
	}
	return p
}
