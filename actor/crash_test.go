package actor_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// A panic ends one actor: its sibling lives, its parent and its watchers hear of it,
// its pump is turned away.
func TestCrashIsIsolated(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		var sick, well actor.Child[any]
		stopCalled := false
		root := s.root(&j, "root", &puppet{
			start: func(c *actor.Ctx[any]) {
				p := reader(&j)
				p.stop = func(*actor.Ctx[any], error) { stopCalled = true }
				sick = actor.Spawn(c, actor.Spec{Name: "sick", Pump: 1}, p, func(e actor.Exit) any { return e })
				well = actor.Spawn(c, actor.Spec{Name: "well"}, reader(&j), func(e actor.Exit) any { return e })
				well.Ref.Tell(func(c *actor.Ctx[any]) {
					actor.Watch(c, sick.Ref, func(e actor.Exit) any { return "watched " + e.Name })
				})
			},
			handle: func(_ *actor.Ctx[any], m any) {
				e := m.(actor.Exit)
				var p *actor.PanicError
				if !errors.As(e.Err, &p) || p.Value != "ouch" || !strings.Contains(string(p.Stack), "TestCrashIsIsolated") {
					s.Errorf("exit says %v", e)
				}
				j.add("%v", e)
			},
		})
		synctest.Wait()

		g := closedGate()
		sick.Ref.Tell(func(c *actor.Ctx[any]) {
			g.hold(c)
			panic("ouch")
		})
		<-g.in
		all := parcels(10)
		for _, p := range all[:8] {
			sick.Ref.Tell(p)
		}
		errs := make(chan error, 2)
		for _, p := range all[8:] {
			go func() { errs <- sick.Inlet.Put(s.Context(), p) }()
		}
		synctest.Wait()
		close(g.out)
		synctest.Wait()
		well.Ref.Tell("still here")
		synctest.Wait()
		seen := strings.Split(j.take(), "; ")
		if len(seen) != 3 || seen[2] != "still here" {
			s.Errorf("seen %q", seen)
		}
		for _, want := range []string{"watched sick", "sick#2: panic: ouch"} {
			if seen[0] != want && seen[1] != want {
				s.Errorf("%q is not in %q", want, seen)
			}
		}
		if err := errors.Join(<-errs, <-errs); !errors.Is(err, actor.ErrStopped) {
			s.Errorf("a pump that waited was told %v", err)
		}
		if handled, dropped := account(s.T, all); handled != 0 || dropped != 10 {
			s.Errorf("%d handled, %d dropped", handled, dropped)
		}
		if stopCalled || s.live.Crashes.Load() != 1 {
			s.Errorf("Stop called after a panic: %v; crashes: %d", stopCalled, s.live.Crashes.Load())
		}
		root.Stop(nil)
		s.want(&j, "root ended: <nil>")
	})
}

// In the simulator a panic is a failure of the run.
func TestCrashFailsTheSimulation(t *testing.T) {
	inSim(t, simFIFO, func(s *stage) {
		one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{}, nil)
		one.Ref.Tell(func(*actor.Ctx[any]) { panic(errEnough) })
		s.rest()
		if err := s.sim.Err(); err == nil || !strings.Contains(err.Error(), "one#1: panic: enough") {
			s.Error(err)
		}
	})
}

// Wherever an actor's code panics, it ends and the world goes on.
func TestCrashAnywhere(t *testing.T) {
	boom := func() { panic(errEnough) }
	for name, c := range map[string]struct {
		p       *puppet
		do      func(c actor.Child[any])
		crashes int64
	}{
		"Start":  {&puppet{start: func(*actor.Ctx[any]) { boom() }}, func(actor.Child[any]) {}, 1},
		"Handle": {&puppet{handle: func(*actor.Ctx[any], any) { boom() }}, func(c actor.Child[any]) { c.Ref.Tell(1) }, 1},
		"Signal": {&puppet{handle: func(*actor.Ctx[any], any) { boom() }}, func(c actor.Child[any]) { c.Ref.Notify(state{}) }, 1},
		"Timer": {&puppet{
			start:  func(c *actor.Ctx[any]) { c.After(time.Second, 1) },
			handle: func(*actor.Ctx[any], any) { boom() },
		}, func(actor.Child[any]) {}, 1},
		"Flush": {&puppet{flush: func(*actor.Ctx[any]) { boom() }}, func(actor.Child[any]) {}, 1},
		"Stop":  {&puppet{stop: func(*actor.Ctx[any], error) { boom() }}, func(c actor.Child[any]) { c.Stop(nil) }, 1},
		"Flush and quit": {&puppet{
			handle: func(c *actor.Ctx[any], _ any) { c.Quit(nil) },
			stop:   func(*actor.Ctx[any], error) { boom() },
		}, func(c actor.Child[any]) { c.Ref.Tell(1) }, 1},
		"Window": {&puppet{handle: func(*actor.Ctx[any], any) {
			w := actor.Window{Max: 1}
			defer func() { // a bug has a clear text
				v := recover()
				if s, ok := v.(string); !ok || !strings.Contains(s, "window") {
					panic("no text")
				}
				boom()
			}()
			w.Take(2)
		}}, func(c actor.Child[any]) { c.Ref.Tell(1) }, 1},
		"Drop of two": {&puppet{}, func(c actor.Child[any]) {
			c.Ref.Tell(func(x *actor.Ctx[any]) {
				x.Self().Tell(bomb{})
				x.Self().Tell(bomb{})
				x.Quit(errEnough)
			})
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inLive(t, func(s *stage) {
				var j journal
				one := s.root(&j, "one", c.p)
				c.do(one)
				s.pass(time.Second)
				if got := j.take(); got != "one ended: panic: enough" && got != "one ended: enough" {
					s.Error(got)
				}
				if n := s.live.Crashes.Load(); n != c.crashes {
					s.Errorf("%d crashes, want %d", n, c.crashes)
				}
			})
		})
	}
}

// bomb is a message whose Drop panics.
type bomb struct{}

func (bomb) Drop() { panic("bomb") }

// A parent's or watcher's adapter that panics harms nobody but itself.
func TestCrashInExitIsIsolated(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		root := s.root(&j, "root", &puppet{start: func(c *actor.Ctx[any]) {
			child := actor.Spawn(c, actor.Spec{Name: "child"}, &puppet{}, func(actor.Exit) any { panic("down") })
			child.Stop(nil)
		}})
		s.rest()
		root.Stop(nil)
		s.want(&j, "root ended: <nil>")
		if n := s.live.Crashes.Load(); n != 1 {
			s.Errorf("%d crashes", n)
		}
	})
}

func TestPanicErrorUnwraps(t *testing.T) {
	if err := error(&actor.PanicError{Value: errEnough}); !errors.Is(err, errEnough) {
		t.Error("the error that was panicked with is hidden")
	}
	if err := error(&actor.PanicError{Value: "text"}); errors.Unwrap(err) != nil || err.Error() != "panic: text" {
		t.Error(err)
	}
}

// A crash takes the children down, too, and their mail is dropped.
func TestCrashOfAParent(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		root := s.root(&j, "root", family(&j, "r", 2, 1))
		s.rest()
		root.Ref.Tell(func(*actor.Ctx[any]) { panic("parent") })
		s.rest()
		got := j.take()
		if got != "stop r0; stop r1; root ended: panic: parent" && got != "stop r1; stop r0; root ended: panic: parent" {
			s.Error(got)
		}
	})
}
