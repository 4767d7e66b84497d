package actor_test

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// watcher notes the ends of those it is told to watch.
func watcher(j *journal) *puppet {
	return &puppet{handle: func(c *actor.Ctx[any], m any) {
		if ref, ok := m.(actor.Ref[any]); ok {
			actor.Watch(c, ref, func(e actor.Exit) any { return e })
			return
		}
		j.add("%v", m)
	}}
}

func TestWatch(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{}, nil)
		late := actor.Root(s.w, actor.Spec{Name: "late"}, watcher(&j), nil)
		early := actor.Root(s.w, actor.Spec{Name: "early"}, watcher(&j), nil)
		early.Ref.Tell(one.Ref)
		s.want(&j)
		one.Stop(errEnough)
		s.want(&j, "one#1: enough")
		late.Ref.Tell(one.Ref) // dead already: told at once, the same
		s.want(&j, "one#1: enough")
		late.Ref.Tell(actor.Ref[any]{})
		s.want(&j, "#0: actor: stopped")
		late.Ref.Tell(actor.FuncRef(func(any) {})) // what is no actor never ends
		early.Ref.Tell(late.Ref)
		early.Ref.Tell(late.Ref) // told twice, since asked twice
		s.want(&j)
		late.Stop(nil)
		s.want(&j, "late#2: <nil>", "late#2: <nil>")
		early.Stop(nil)
	})
}

// Watching through an adapter watches the actor behind it; so does watching oneself.
func TestWatchThroughAdapter(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		one := actor.Root(s.w, actor.Spec{Name: "one"}, &puppet{}, nil)
		adapted := actor.Adapt(one.Ref, func(n int) any { return n })
		two := actor.Root(s.w, actor.Spec{Name: "two"}, watcher(&j), nil)
		two.Ref.Tell(func(c *actor.Ctx[any]) {
			actor.Watch(c, adapted, func(e actor.Exit) any { return e })
			actor.Watch(c, c.Self(), func(e actor.Exit) any { return e })
		})
		s.rest()
		if adapted.ID() != one.Ref.ID() || adapted.ID() == 0 {
			s.Errorf("adapted id %d", adapted.ID())
		}
		one.Stop(nil)
		s.want(&j, "one#1: <nil>")
		two.Stop(nil)
		s.want(&j)
	})
}

// Watchers hear of an end in the order in which they began to watch, before the parent.
func TestWatchOrder(t *testing.T) {
	inSim(t, simFIFO, func(s *stage) {
		var j journal
		note := func(name string) *puppet {
			return &puppet{handle: func(_ *actor.Ctx[any], m any) { j.add("%s: %v", name, m) }}
		}
		var one actor.Child[any]
		parent := note("parent")
		parent.start = func(c *actor.Ctx[any]) {
			one = actor.Spawn(c, actor.Spec{Name: "one"}, &puppet{}, func(e actor.Exit) any { return e })
		}
		kids := []actor.Child[any]{s.root(&j, "parent", parent)}
		s.rest()
		for _, name := range []string{"c", "a", "b"} {
			kids = append(kids, actor.Root[any](s.w, actor.Spec{Name: name}, note(name), nil))
			kids[len(kids)-1].Ref.Tell(func(c *actor.Ctx[any]) {
				actor.Watch(c, one.Ref, func(e actor.Exit) any { return e })
			})
		}
		s.pass(time.Second)
		kids[2].Stop(nil) // a watches no more
		s.rest()
		one.Stop(nil)
		s.want(&j, "c: one#2: <nil>", "b: one#2: <nil>", "parent: one#2: <nil>")
		for _, k := range kids {
			k.Stop(nil)
		}
	})
}
