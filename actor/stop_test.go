package actor_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

var errEnough = errors.New("enough")

// A life begins with Start and ends with Stop, whatever comes in between.
func TestLife(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		p := reader(&j)
		p.start = func(*actor.Ctx[any]) { j.add("start") }
		p.stop = func(_ *actor.Ctx[any], why error) { j.add("stop: %v", why) }
		one := s.root(&j, "one", p)
		one.Ref.Tell("work")
		s.want(&j, "start", "work")
		one.Stop(errEnough)
		one.Stop(nil) // no effect
		s.want(&j, "stop: enough", "one ended: enough")
		one.Stop(nil)
		one.Ref.Tell("hello?")
		s.want(&j)
	})
}

func TestStopBeforeTheFirstTurnStillStarts(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		s.root(&j, "parent", &puppet{start: func(c *actor.Ctx[any]) {
			p := reader(&j)
			p.start = func(*actor.Ctx[any]) { j.add("start") }
			p.stop = func(*actor.Ctx[any], error) { j.add("stop") }
			child := actor.Spawn(c, actor.Spec{Name: "child"}, p, nil)
			child.Ref.Tell("never seen")
			child.Stop(nil)
			c.Quit(nil)
		}})
		s.want(&j, "start", "stop", "parent ended: <nil>")
	})
}

func TestQuitEndsAfterTheMessage(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		all := parcels(3)
		p := &puppet{flush: func(*actor.Ctx[any]) { j.add("flush") }}
		p.handle = func(c *actor.Ctx[any], m any) {
			m.(*parcel).handled.Add(1)
			c.Quit(errEnough)
			c.Quit(nil) // the first counts
		}
		p.stop = func(_ *actor.Ctx[any], why error) { j.add("stop: %v", why) }
		one := s.root(&j, "one", p)
		s.want(&j, "flush")
		one.Ref.Tell(func(c *actor.Ctx[any]) {
			for _, p := range all {
				c.Self().Tell(p)
			}
			c.After(time.Hour, &parcel{})
		})
		s.rest()
		if got := strings.ReplaceAll(j.take(), "flush; ", ""); got != "stop: enough; one ended: enough" {
			s.Error(got)
		}
		if handled, dropped := account(s.T, all); handled != 1 || dropped != 2 {
			s.Errorf("%d handled, %d dropped", handled, dropped)
		}
	})
}

// A stop goes ahead of the mail that waits.
func TestStopGoesAheadOfTheMail(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		g := closedGate()
		one := s.root(&j, "one", reader(&j))
		one.Ref.Tell(g.hold)
		<-g.in
		all := parcels(50)
		for _, p := range all {
			one.Ref.Tell(p)
		}
		one.Stop(nil)
		close(g.out)
		s.want(&j, "one ended: <nil>")
		if _, dropped := account(s.T, all); dropped != 50 {
			s.Errorf("%d of 50 dropped", dropped)
		}
	})
}

// A busy actor sees a stop after at most one turn's mail, not after all of it.
func TestStopInterruptsALongBatch(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		g, h := closedGate(), closedGate()
		one := actor.Root(s.w, actor.Spec{Name: "one", Limit: 10_000}, &puppet{handle: func(_ *actor.Ctx[any], m any) {
			m.(*parcel).handled.Add(1)
		}}, j.exit("one"))
		one.Ref.Tell(g.hold)
		<-g.in
		one.Ref.Tell(h.hold)
		all := parcels(5000)
		for _, p := range all {
			one.Ref.Tell(p)
		}
		close(g.out)
		<-h.in // the 5000 have been taken out of the mailbox
		one.Stop(nil)
		close(h.out)
		s.want(&j, "one ended: <nil>")
		handled, dropped := account(s.T, all)
		if handled >= 256 || dropped < 4744 {
			s.Errorf("%d handled after the stop", handled)
		}
	})
}

// Stop while full: pumps wait in Put, requests are pending, mail of all kinds
// waits, timers run. Nobody is forgotten, nothing is lost or dropped twice.
func TestStopWhileFull(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		type request struct{ reply actor.Ref[any] }
		var pending []actor.Ref[any]
		p := &puppet{
			handle: func(_ *actor.Ctx[any], m any) { pending = append(pending, m.(request).reply) },
			stop: func(_ *actor.Ctx[any], why error) {
				for _, r := range pending {
					r.Tell(fmt.Sprint("cancelled: ", why))
				}
			},
		}
		one := actor.Root(s.w, actor.Spec{Name: "one", Pump: 4, Offer: 5}, p, j.exit("one"))
		for range 3 {
			one.Ref.Tell(request{actor.FuncRef(func(m any) { j.add("%v", m) })})
		}
		s.want(&j)

		g := closedGate()
		all := parcels(44)
		told, signals, offers, timers, pumped := all[:10], all[10:14], all[14:24], all[24:29], all[29:]
		one.Ref.Tell(func(c *actor.Ctx[any]) {
			for _, p := range timers {
				c.After(time.Hour, p)
			}
			g.hold(c)
		})
		<-g.in
		for _, p := range told {
			one.Ref.Tell(p)
		}
		for i, p := range signals {
			one.Ref.Notify(state{uint8(i / 2), i, p})
		}
		for _, p := range offers {
			one.Ref.Offer(p)
		}
		one.Ref.Tell(func(c *actor.Ctx[any]) { s.Error("mail was handled after the stop") })
		errs := make(chan error, len(pumped))
		for _, p := range pumped {
			go func() { errs <- one.Inlet.Put(s.Context(), p) }()
		}
		synctest.Wait()
		if n := len(errs); n != 4 {
			s.Errorf("%d pumps went in, want 4", n)
		}
		one.Stop(errEnough)
		close(g.out)
		s.want(&j, "cancelled: enough", "cancelled: enough", "cancelled: enough", "one ended: enough")
		stopped := 0
		for range pumped {
			if errors.Is(<-errs, actor.ErrStopped) {
				stopped++
			}
		}
		if stopped != len(pumped)-4 {
			s.Errorf("%d pumps were told of the stop, want %d", stopped, len(pumped)-4)
		}
		if handled, _ := account(s.T, all); handled != 0 {
			s.Errorf("%d handled", handled)
		}
	})
}

func TestTimersAreDroppedAtTheEnd(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		all := parcels(5)
		one := actor.Root[any](s.w, actor.Spec{Name: "one"}, &puppet{
			start: func(c *actor.Ctx[any]) {
				for i, p := range all[:4] {
					c.After(time.Duration(i)*time.Second, p)
				}
			},
			handle: func(_ *actor.Ctx[any], m any) { m.(*parcel).handled.Add(1) },
			stop:   func(c *actor.Ctx[any], _ error) { c.After(time.Second, all[4]) },
		}, nil)
		s.pass(1500 * time.Millisecond)
		one.Stop(nil)
		s.rest()
		if handled, dropped := account(s.T, all); handled != 2 || dropped != 3 {
			s.Errorf("%d handled, %d dropped", handled, dropped)
		}
	})
}

// family is a tree of actors that note their ends.
func family(j *journal, name string, branch, depth int) *puppet {
	return &puppet{
		start: func(c *actor.Ctx[any]) {
			if depth == 0 {
				return
			}
			for i := range branch {
				child := fmt.Sprint(name, i)
				actor.Spawn(c, actor.Spec{Name: child}, family(j, child, branch, depth-1),
					func(e actor.Exit) any { return e })
			}
		},
		stop: func(*actor.Ctx[any], error) { j.add("stop %s", name) },
	}
}

// Children end before their parent does, and all the family before the root's exit.
func TestChildrenEndFirst(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		root := actor.Root(s.w, actor.Spec{Name: "r"}, family(&j, "r", 3, 3), func(actor.Exit) { j.add("root ended") })
		s.rest()
		root.Stop(nil)
		s.rest()
		lines := strings.Split(j.take(), "; ")
		if len(lines) != 1+3+9+27+1 || lines[0] != "stop r" || lines[len(lines)-1] != "root ended" {
			s.Errorf("%d lines: %v", len(lines), lines)
		}
	})
}

// A parent hears of its child's end only when the grandchildren are gone.
func TestExitComesAfterGrandchildren(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		root := s.root(&j, "root", &puppet{
			start: func(c *actor.Ctx[any]) {
				child := actor.Spawn(c, actor.Spec{Name: "child"}, family(&j, "c", 2, 1),
					func(e actor.Exit) any { return e })
				c.After(time.Second, func(*actor.Ctx[any]) { child.Stop(errEnough) })
			},
			handle: func(_ *actor.Ctx[any], m any) { j.add("%s: %v", m.(actor.Exit).Name, m.(actor.Exit).Err) },
		})
		s.pass(time.Second)
		lines := strings.Split(j.take(), "; ")
		if len(lines) == 4 {
			slices.Sort(lines[1:3]) // which of two siblings ends first is the world's choice
		}
		if got := strings.Join(lines, "; "); got != "stop c; stop c0; stop c1; child: enough" {
			s.Error(got)
		}
		root.Stop(nil)
		s.want(&j, "root ended: <nil>")
	})
}

// Ends come in an order that repeats: in FIFO, that of birth.
func TestStopOrder(t *testing.T) {
	var first string
	for range 3 {
		inSim(t, simFIFO, func(s *stage) {
			var j journal
			root := s.root(&j, "r", family(&j, "r", 3, 2))
			s.rest()
			root.Stop(nil)
			s.rest()
			got := j.take()
			if first == "" {
				first = got
			}
			want := "stop r; stop r0; stop r1; stop r2; stop r00; stop r01; stop r02; stop r10; stop r11; stop r12; " +
				"stop r20; stop r21; stop r22; r ended: <nil>"
			if got != first || got != want {
				s.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// An actor whose children are still ending takes no mail and has no more turns.
func TestEndingActorTakesNoMail(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		g := closedGate()
		p := reader(&j)
		p.start = func(c *actor.Ctx[any]) {
			child := actor.Spawn(c, actor.Spec{Name: "child"}, &puppet{}, func(e actor.Exit) any { return e })
			child.Ref.Tell(g.hold)
		}
		root := s.root(&j, "root", p)
		<-g.in
		root.Stop(nil)
		synctest.Wait()
		lost := &parcel{}
		root.Ref.Tell(lost)
		if err := root.Inlet.Put(s.Context(), &parcel{}); !errors.Is(err, actor.ErrStopped) {
			s.Error(err)
		}
		if lost.dropped.Load() != 1 || root.Inlet.Ended() {
			s.Error("an ending actor takes mail, or has ended before its child")
		}
		s.want(&j)
		close(g.out)
		s.want(&j, "root ended: <nil>")
	})
}
