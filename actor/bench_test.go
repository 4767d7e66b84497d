package actor_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/shoal-bt/shoal/actor"
)

// hop is a hot message: one pointer, so that boxing it allocates nothing.
type hop struct{ *ball }

type ball struct {
	left int
	done chan struct{}
}

// player returns balls to its partner, as long as they have strokes left.
type player struct{ to actor.Ref[hop] }

func (p *player) Handle(_ *actor.Ctx[hop], m hop) {
	if m.left--; m.left <= 0 {
		close(m.done)
		return
	}
	p.to.Tell(m)
}

// players are a pair in a world of their own.
func players(b *testing.B, workers int) (*actor.Live, actor.Child[hop]) {
	w := actor.NewLive(actor.LiveConfig{Workers: workers})
	one, two := &player{}, &player{}
	spec := actor.Spec{Name: "player", Limit: 1 << 16}
	first := actor.Root(w, spec, one, nil)
	second := actor.Root(w, spec, two, nil)
	one.to, two.to = second.Ref, first.Ref
	b.Cleanup(func() { first.Stop(nil); second.Stop(nil); w.Close() })
	return w, first
}

// BenchmarkHopIdle is the worst case: each hop wakes an actor that has nothing to do.
func BenchmarkHopIdle(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			_, first := players(b, workers)
			b.ReportAllocs()
			ball := &ball{left: b.N, done: make(chan struct{})}
			b.ResetTimer()
			first.Ref.Tell(hop{ball})
			<-ball.done
		})
	}
}

// BenchmarkHopBusy has 64 balls in the air: batches form.
func BenchmarkHopBusy(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			_, first := players(b, workers)
			b.ReportAllocs()
			const balls = 64
			var all []*ball
			for range balls {
				all = append(all, &ball{left: b.N/balls + 1, done: make(chan struct{})})
			}
			b.ResetTimer()
			for _, ball := range all {
				first.Ref.Tell(hop{ball})
			}
			for _, ball := range all {
				<-ball.done
			}
		})
	}
}

// counter counts to a number.
type counter struct {
	left int
	done chan struct{}
}

func (c *counter) Handle(*actor.Ctx[hop], hop) {
	if c.left--; c.left == 0 {
		close(c.done)
	}
}

// BenchmarkPutFromPumps has pumps fill one mailbox as fast as it lets them.
func BenchmarkPutFromPumps(b *testing.B) {
	for _, pumps := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("pumps=%d", pumps), func(b *testing.B) {
			w := actor.NewLive(actor.LiveConfig{})
			each := b.N/pumps + 1
			c := &counter{left: each * pumps, done: make(chan struct{})}
			child := actor.Root(w, actor.Spec{Name: "counter"}, c, nil)
			b.Cleanup(func() { child.Stop(nil); w.Close() })
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range pumps {
				wg.Go(func() {
					m := hop{&ball{}}
					for range each {
						_ = child.Inlet.Put(context.Background(), m)
					}
				})
			}
			wg.Wait()
			<-c.done
		})
	}
}

// BenchmarkTellFromMany has one goroutine per core tell one actor.
func BenchmarkTellFromMany(b *testing.B) {
	w := actor.NewLive(actor.LiveConfig{})
	c := &counter{}
	child := actor.Root(w, actor.Spec{Name: "counter", Limit: 1 << 28}, c, nil)
	b.Cleanup(func() { child.Stop(nil); w.Close() })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		m := hop{&ball{}}
		for pb.Next() {
			child.Ref.Tell(m)
		}
	})
}

// restarter has a deadline that every message moves, as a request timeout does.
type restarter struct {
	player
	deadline actor.Timer
}

func (r *restarter) Handle(c *actor.Ctx[hop], m hop) {
	c.Cancel(r.deadline)
	r.deadline = c.After(1e10, hop{})
	r.player.Handle(c, m)
}

// BenchmarkTimerRearm is a hop between two actors, one of which moves a deadline.
func BenchmarkTimerRearm(b *testing.B) {
	w := actor.NewLive(actor.LiveConfig{Workers: 1})
	one, two := &restarter{}, &player{}
	first := actor.Root(w, actor.Spec{Name: "restarter"}, one, nil)
	second := actor.Root(w, actor.Spec{Name: "player"}, two, nil)
	one.to, two.to = second.Ref, first.Ref
	b.Cleanup(func() { first.Stop(nil); second.Stop(nil); w.Close() })
	b.ReportAllocs()
	ball := &ball{left: b.N, done: make(chan struct{})}
	b.ResetTimer()
	first.Ref.Tell(hop{ball})
	<-ball.done
}

// BenchmarkIdle is a life: birth, a message, waiting for more. It reports what the
// waiting costs.
func BenchmarkIdle(b *testing.B) {
	bytes, goroutines := idleCost(b.N)
	b.ReportMetric(bytes, "B/actor")
	b.ReportMetric(float64(goroutines), "goroutines")
}
