package actor_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// The seven rules of the package comment, and what holds them:
//
//  1. a handler never waits: internal/archtest refuses go, select, channels, locks,
//     clocks and I/O in files of actors; TestRule1 shows that no address waits.
//  2. only pumps and outsiders wait, nobody waits for them: TestRule2;
//     internal/archtest keeps Put and Ask out of actors.
//  3. a request needs a window: TestWindowMisusePanics, TestTwoActorsFlood…,
//     TestFlood…
//  4. every request is answered once, also at stop and by Exit: TestRule4,
//     TestStopWhileFull, TestAskOfOneWhoEnds.
//  5. requests go down: internal/archtest's table of imports; TestChildrenEndFirst.
//  6. no hold-and-wait on budgets: nothing in this package can hold one; the
//     simulator's checks at quiescence (sim, TestCheck) find credit that is stuck.
//  7. one owner per byte: TestStress accounts for every parcel.

// Rule 1: Tell, Notify, Offer, Stop and TryPut return at once, however full the
// mailbox and however long its actor takes.
func TestRule1AddressesNeverWait(t *testing.T) {
	inLive(t, func(s *stage) {
		g := closedGate()
		one := actor.Root(s.w, actor.Spec{Name: "one", Limit: 1000, Pump: 1, Offer: 1}, &puppet{}, nil)
		one.Ref.Tell(g.hold)
		<-g.in
		began := s.w.Now()
		for i := range 1000 {
			one.Ref.Tell(i)
			one.Ref.Notify(state{kind: uint8(i), parcel: &parcel{}})
			one.Ref.Offer(i)
			one.Inlet.TryPut(i)
		}
		one.Stop(nil)
		if s.w.Now() != began {
			s.Error("time has passed")
		}
		close(g.out)
	})
}

// Rule 2: a pump that is stuck, outside or in Put, holds up neither the actor it
// feeds nor the actor's end.
func TestRule2NobodyWaitsForPumps(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		g := closedGate()
		stuck := make(chan struct{}) // as if in a system call
		done := make(chan error, 1)
		p := reader(&j)
		p.start = func(c *actor.Ctx[any]) {
			child := actor.Spawn(c, actor.Spec{Name: "fed", Pump: 1}, reader(&j), nil)
			child.Ref.Tell(func(c *actor.Ctx[any]) { g.hold(c) })
			go func() {
				_ = child.Inlet.Put(s.Context(), "one")
				_ = child.Inlet.Put(s.Context(), "two") // waits: the child stands still
				<-stuck
				done <- child.Inlet.Put(s.Context(), "three")
			}()
		}
		root := s.root(&j, "root", p)
		<-g.in
		synctest.Wait()
		root.Ref.Tell("the parent has its turns")
		s.want(&j, "the parent has its turns")
		close(g.out)
		s.want(&j, "one", "two")
		root.Stop(nil)
		s.want(&j, "root ended: <nil>")
		close(stuck)
		if err := <-done; !errors.Is(err, actor.ErrStopped) {
			s.Error(err)
		}
	})
}

// Rule 4: whoever has a window towards an actor gets every place in it back: by
// answers, by the answers of Stop, or by Exit when there is no Stop any more.
func TestRule4EveryRequestIsAnswered(t *testing.T) {
	for name, end := range map[string]func(*actor.Ctx[any]){
		"answered": nil,
		"stopped":  func(c *actor.Ctx[any]) { c.Quit(nil) },
		"crash":    func(*actor.Ctx[any]) { panic("TestCrash, so to speak") },
	} {
		t.Run(name+"/expected Crash", func(t *testing.T) {
			inLive(t, func(s *stage) {
				server := actor.Root(s.w, actor.Spec{Name: "server"}, slowServer(), nil)
				client := &customer{server: server.Ref, window: actor.Window{Max: 10}}
				c := actor.Root(s.w, actor.Spec{Name: "client"}, client, nil)
				if end == nil {
					s.pass(time.Minute)
				} else {
					s.pass(3500 * time.Millisecond)
					server.Ref.Tell(end)
					s.rest()
				}
				if client.window.Used != 0 {
					s.Errorf("%d requests were never answered", client.window.Used)
				}
				c.Stop(nil)
				server.Stop(nil)
			})
		})
	}
}

// slowServer answers one question a second, and the others when it is stopped.
func slowServer() *puppet {
	var pending []question
	p := &puppet{start: func(c *actor.Ctx[any]) { c.After(time.Second, "tick") }}
	p.handle = func(c *actor.Ctx[any], m any) {
		if q, ok := m.(question); ok {
			pending = append(pending, q)
			return
		}
		if len(pending) > 0 {
			pending[0].from.Tell(answer{})
			pending = pending[1:]
			c.After(time.Second, "tick")
		}
	}
	p.stop = func(*actor.Ctx[any], error) {
		for _, q := range pending {
			q.from.Tell(answer{})
		}
	}
	return p
}

// customer fills its window once, and takes an Exit as the answer to all that is open.
type customer struct {
	server actor.Ref[any]
	window actor.Window
}

func (u *customer) Start(c *actor.Ctx[any]) {
	actor.Watch(c, u.server, func(e actor.Exit) any { return e })
	for u.window.Open() > 0 {
		u.window.Take(1)
		u.server.Tell(question{c.Self()})
	}
}

func (u *customer) Handle(_ *actor.Ctx[any], m any) {
	switch m.(type) {
	case answer:
		u.window.Give(1)
	case actor.Exit:
		u.window.Give(u.window.Used)
	}
}
