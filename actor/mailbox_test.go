package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/sim"
)

// reader notes what it gets.
func reader(j *journal) *puppet {
	return &puppet{handle: func(_ *actor.Ctx[any], m any) { j.add("%v", m) }}
}

func TestMessagesOfOneSenderArriveInOrder(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		last := map[string]int{}
		type mail struct {
			from string
			n    int
		}
		to := actor.Root(s.w, actor.Spec{Name: "reader", Limit: 2000}, &puppet{handle: func(_ *actor.Ctx[any], m any) {
			if m := m.(mail); m.n != last[m.from]+1 {
				s.Errorf("%s: %d after %d", m.from, m.n, last[m.from])
			} else {
				last[m.from] = m.n
			}
		}}, nil)
		var senders []actor.Child[any]
		for _, name := range []string{"a", "b", "c"} {
			n := 0
			senders = append(senders, actor.Root[any](s.w, actor.Spec{Name: name}, &puppet{handle: func(c *actor.Ctx[any], _ any) {
				for range 10 {
					n++
					to.Ref.Tell(mail{name, n})
				}
			}}, nil))
		}
		for range 50 {
			for _, c := range senders {
				c.Ref.Tell("go on")
			}
		}
		s.rest()
		for _, name := range []string{"a", "b", "c"} {
			if last[name] != 500 {
				s.Errorf("of %s's 500 messages %d arrived", name, last[name])
			}
		}
		for _, c := range append(senders, to) {
			c.Stop(nil)
		}
	})
}

// state is a signal.
type state struct {
	kind uint8
	n    int
	*parcel
}

func (s state) SignalKind() uint8 { return s.kind }
func (s state) String() string    { return fmt.Sprintf("state%d=%d", s.kind, s.n) }

func TestNotifyKeepsTheNewestOfEachKind(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		to := s.root(&j, "reader", reader(&j))
		s.rest()
		all := parcels(6)
		boss := s.root(&j, "boss", &puppet{})
		boss.Ref.Tell(func(*actor.Ctx[any]) {
			// In one turn of the boss: the reader may not run in between live, too.
			to.Ref.Tell(func(c *actor.Ctx[any]) { c.Self().Tell("told") })
			for i, p := range all {
				to.Ref.Notify(state{uint8(i % 2), i, p})
			}
		})
		s.rest()
		if s.sim != nil {
			s.want(&j, "state0=4", "state1=5", "told")
			for i, p := range all {
				if got, want := p.dropped.Load() == 1, i < 4; got != want {
					s.Errorf("signal %d dropped: %v, want %v", i, got, want)
				}
			}
		}
		to.Stop(nil)
		s.rest()
		p := &parcel{}
		to.Ref.Notify(state{0, 7, p})
		if p.dropped.Load() != 1 {
			s.Error("a signal to one who has ended was not dropped")
		}
		boss.Stop(nil)
	})
}

func TestOfferIsBounded(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		var j journal
		all := parcels(10)
		got := 0
		to := actor.Root(s.w, actor.Spec{Name: "reader", Offer: 3}, &puppet{
			handle: func(_ *actor.Ctx[any], m any) { m.(*parcel).handled.Add(1) },
		}, j.exit("reader"))
		s.rest()
		to.Ref.Tell(func(c *actor.Ctx[any]) { // its mailbox is not emptied during its turn
			for _, p := range all {
				if c.Self().Offer(p) {
					got++
				}
			}
		})
		s.rest()
		handled, dropped := account(s.T, all)
		if got != 3 || handled != 3 || dropped != 7 {
			s.Errorf("accepted %d, handled %d, dropped %d; want 3, 3, 7", got, handled, dropped)
		}
		if !to.Ref.Offer(&parcel{}) {
			s.Error("the mailbox was emptied, and still takes no hint")
		}
		s.rest()
		to.Stop(nil)
		s.rest()
		p := &parcel{}
		if to.Ref.Offer(p) || p.dropped.Load() != 1 {
			s.Error("an offer to one who has ended was not dropped")
		}
	})
}

// gate is a puppet that stands still in its handler until it is let go: the test of
// what happens behind its back. (Only a test breaks rule 1 like this.)
type gate struct{ in, out chan struct{} }

func closedGate() *gate { return &gate{make(chan struct{}), make(chan struct{})} }

func (g *gate) hold(*actor.Ctx[any]) {
	close(g.in)
	<-g.out
}

func TestPutWaitsWhileTheMailboxIsFull(t *testing.T) {
	inLive(t, func(s *stage) {
		var j journal
		g := closedGate()
		to := actor.Root(s.w, actor.Spec{Name: "reader", Pump: 2}, reader(&j), j.exit("reader"))
		to.Ref.Tell(g.hold)
		<-g.in
		for i := range 5 {
			go func() {
				time.Sleep(time.Duration(i) * time.Second)
				ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
				defer cancel()
				if err := to.Inlet.Put(ctx, i); err != nil {
					j.add("put %d: %v", i, err)
				}
			}()
		}
		s.pass(10 * time.Second)
		if to.Inlet.TryPut("try") {
			s.Error("TryPut went into a full mailbox")
		}
		s.pass(time.Minute)
		s.want(&j, "put 2: context deadline exceeded", "put 3: context deadline exceeded", "put 4: context deadline exceeded")
		go func() { _ = to.Inlet.Put(s.Context(), "late") }()
		synctest.Wait()
		close(g.out)
		s.want(&j, "0", "1", "late")
		to.Stop(nil)
	})
}

func TestTryPut(t *testing.T) {
	inBothWorlds(t, func(s *stage) {
		to := actor.Root(s.w, actor.Spec{Name: "reader", Pump: 3}, &puppet{
			handle: func(_ *actor.Ctx[any], m any) { m.(*parcel).handled.Add(1) },
		}, nil)
		s.rest()
		all := parcels(5)
		var in []bool
		to.Ref.Tell(func(*actor.Ctx[any]) {
			for _, p := range all {
				in = append(in, to.Inlet.TryPut(p))
			}
		})
		s.rest()
		if fmt.Sprint(in) != "[true true true false false]" {
			s.Errorf("TryPut says %v", in)
		}
		handled, _ := account(s.T, all[:3])
		if handled != 3 || all[3].dropped.Load()+all[4].dropped.Load() != 0 {
			s.Error("what went in was not handled, or what did not was dropped")
		}
		to.Stop(nil)
		s.rest()
		p := &parcel{}
		if !to.Inlet.TryPut(p) || p.dropped.Load() != 1 {
			s.Error("TryPut to one who has ended must drop and count as done")
		}
		if !to.Inlet.Ended() {
			s.Error("the door does not know that its actor has ended")
		}
	})
}

func TestZeroAddressesDrop(t *testing.T) {
	var ref actor.Ref[any]
	var in actor.Inlet[any]
	all := parcels(5)
	ref.Tell(all[0])
	ref.Notify(all[1])
	if ref.Offer(all[2]) {
		t.Error("nobody took an offer")
	}
	if err := in.Put(t.Context(), all[3]); !errors.Is(err, actor.ErrStopped) {
		t.Error(err)
	}
	if !in.TryPut(all[4]) {
		t.Error("nobody has a full mailbox")
	}
	if _, dropped := account(t, all); dropped != 5 {
		t.Error("not dropped")
	}
	if !ref.IsZero() || !in.IsZero() || !in.Ended() || ref.ID() != 0 || !(actor.Child[any]{}).IsZero() {
		t.Error("zero addresses address something")
	}
	(actor.Child[any]{}).Stop(nil)
}

// TestBatch hands a mailbox out in pieces, as Shuffle does, while more comes in: no
// message is lost, and the bounds count what waits, not what has been handed out.
func TestBatch(t *testing.T) {
	for seed := range uint64(50) {
		inSim(t, sim.Config{Seed: seed, Order: sim.Shuffle}, func(s *stage) {
			next, sent := 0, 0
			limit := 40
			to := actor.Root(s.w, actor.Spec{Name: "reader", Limit: limit, Pump: 10}, &puppet{
				handle: func(c *actor.Ctx[any], m any) {
					if m != next {
						s.Fatalf("got %v, want %d", m, next)
					}
					next++
					if sent < 1000 && sent-next < limit { // the window
						c.Self().Tell(sent)
						sent++
					}
				},
			}, nil)
			for ; sent < 10; sent++ {
				if !to.Inlet.TryPut(sent) {
					s.Fatal("no room for a pump")
				}
			}
			for ; sent < limit; sent++ {
				to.Ref.Tell(sent)
			}
			s.rest()
			if next != 1000 {
				s.Errorf("%d of 1000 handled", next)
			}
			to.Stop(nil)
		})
	}
}

// TestFlushOncePerBatch: in the simulator's FIFO, all mail of one instant is a batch.
func TestFlushOncePerBatch(t *testing.T) {
	var j journal
	inSim(t, sim.Config{}, func(s *stage) {
		p := reader(&j)
		p.start = func(*actor.Ctx[any]) { j.add("start") }
		p.flush = func(*actor.Ctx[any]) { j.add("flush") }
		to := s.root(&j, "reader", p)
		to.Ref.Tell(1)
		to.Ref.Tell(2)
		s.want(&j, "start", "1", "2", "flush")
		s.sim.After(time.Second, func() { to.Ref.Tell(3) })
		s.sim.After(time.Second, func() { to.Ref.Tell(4) })
		s.pass(time.Second)
		s.want(&j, "3", "4", "flush")
		to.Stop(nil)
		s.want(&j, "reader ended: <nil>")
	})
}
