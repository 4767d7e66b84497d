package actor_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// chaos is what the nodes of a stress test share: addresses to bother, and the
// account of all parcels.
type chaos struct {
	mu      sync.Mutex
	known   []actor.Child[any]
	all     []*parcel
	born    atomic.Int64
	crashed atomic.Int64
	wrong   atomic.Int64
	calm    atomic.Bool // no new trouble
}

func (w *chaos) parcel() *parcel {
	p := &parcel{}
	w.mu.Lock()
	w.all = append(w.all, p)
	if len(w.all) > 40_000 {
		w.calm.Store(true)
	}
	w.mu.Unlock()
	return p
}

func (w *chaos) meet(c actor.Child[any]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = append(w.known, c)
}

// anyone returns one of those known, rarely one who has ended.
func (w *chaos) anyone(r *rand.Rand) actor.Child[any] {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		i := r.IntN(len(w.known))
		c := w.known[i]
		if !c.Inlet.Ended() || i < roots || r.IntN(10) == 0 {
			return c
		}
		w.known[i] = w.known[len(w.known)-1]
		w.known = w.known[:len(w.known)-1]
	}
}

// roots is how many actors the chaos begins with.
const roots = 10

// unruly does a few random things at each message.
type unruly struct {
	w     *chaos
	depth int
	kids  []actor.Child[any]
	timer actor.Timer
	busy  atomic.Bool // two turns at once would be seen
	born  int         // children made, and how many ends have been heard of
	exits int
}

func (u *unruly) Start(c *actor.Ctx[any]) {
	u.enter()
	defer u.leave()
	c.After(time.Duration(c.Rand().IntN(2000))*time.Microsecond, u.w.parcel())
	if u.depth > 0 && c.Rand().IntN(100) == 0 {
		u.w.crashed.Add(1)
		panic("start")
	}
}

func (u *unruly) Handle(c *actor.Ctx[any], m any) {
	u.enter()
	defer u.leave()
	switch m := m.(type) {
	case *parcel:
		m.handled.Add(1)
	case state:
		m.handled.Add(1)
	case actor.Exit:
		if u.exits++; u.exits > u.born {
			u.w.wrong.Add(1)
		}
	}
	if !u.w.calm.Load() {
		for range c.Rand().IntN(4) {
			u.trouble(c)
		}
	}
}

func (u *unruly) trouble(c *actor.Ctx[any]) {
	to := u.w.anyone(c.Rand())
	switch n := c.Rand().IntN(100); {
	case n < 40:
		to.Ref.Tell(u.w.parcel())
	case n < 50:
		to.Ref.Notify(state{uint8(c.Rand().IntN(3)), n, u.w.parcel()})
	case n < 60:
		to.Ref.Offer(u.w.parcel())
	case n < 70:
		c.Cancel(u.timer)
		u.timer = c.After(time.Duration(c.Rand().IntN(1000))*time.Microsecond, u.w.parcel())
	case n < 78:
		actor.Watch(c, to.Ref, func(e actor.Exit) any { return "watched" })
	case n < 88 && u.depth < 4:
		u.w.born.Add(1)
		u.born++
		kid := actor.Spawn(c, actor.Spec{Name: "unruly", Limit: 1 << 20, Pump: 1 + n%8, Offer: 4},
			&unruly{w: u.w, depth: u.depth + 1}, func(e actor.Exit) any { return e })
		u.kids = append(u.kids, kid)
		u.w.meet(kid)
	case n < 94 && len(u.kids) > 0:
		i := c.Rand().IntN(len(u.kids))
		u.kids[i].Stop(nil)
		u.kids = append(u.kids[:i], u.kids[i+1:]...)
	case n < 96 && u.depth > 0:
		c.Quit(nil)
	case n < 97 && u.depth > 0:
		u.w.crashed.Add(1)
		panic("trouble")
	}
}

func (u *unruly) Stop(*actor.Ctx[any], error) {
	u.enter()
	defer u.leave()
}

func (u *unruly) enter() {
	if !u.busy.CompareAndSwap(false, true) {
		u.w.wrong.Add(1)
	}
}

func (u *unruly) leave() { u.busy.Store(false) }

// runPump puts parcels into whoever it meets; a few times it loses patience.
func (w *chaos) runPump(seed uint64, n int) {
	r := rand.New(rand.NewPCG(seed, seed))
	for range n {
		p, to := w.parcel(), w.anyone(r)
		switch r.IntN(10) {
		case 0:
			if !to.Inlet.TryPut(p) {
				p.Drop()
			}
		case 1:
			ctx, cancel := context.WithCancel(context.Background())
			if r.IntN(2) == 0 {
				cancel()
			}
			_ = to.Inlet.Put(ctx, p)
			cancel()
		case 2:
			to.Ref.Tell(p)
		default:
			_ = to.Inlet.Put(context.Background(), p)
		}
	}
}

// TestStress lets many actors spawn, stop, tell, watch and panic at random while
// pumps put. In the end every parcel has been handled or dropped, once; every actor
// has ended; no panic but those on purpose.
func TestStress(t *testing.T) {
	pumps, each := 8, 800
	if testing.Short() {
		each = 200
	}
	for _, workers := range []int{1, 2, 3} {
		w := &chaos{}
		world := actor.NewLive(actor.LiveConfig{Workers: workers})
		var begin []actor.Child[any]
		var ended sync.WaitGroup
		for range roots {
			ended.Add(1)
			c := actor.Root(world, actor.Spec{Name: "root", Limit: 1 << 20}, &unruly{w: w}, func(actor.Exit) { ended.Done() })
			begin = append(begin, c)
			w.meet(c)
		}
		var wg sync.WaitGroup
		for i := range pumps {
			wg.Go(func() { w.runPump(uint64(i), each) })
		}
		wg.Wait()
		w.calm.Store(true)
		for _, c := range begin {
			c.Stop(nil)
		}
		ended.Wait()
		world.Close()
		handled, dropped := account(t, w.all)
		t.Logf("%d workers: %d parcels handled, %d dropped; %d actors born, %d crashes",
			workers, handled, dropped, w.born.Load(), w.crashed.Load())
		if got, want := world.Crashes.Load(), w.crashed.Load(); got != want {
			t.Errorf("%d crashes, %d on purpose", got, want)
		}
		if n := w.wrong.Load(); n != 0 {
			t.Errorf("%d turns at once with another, or ends heard of twice", n)
		}
		if handled == 0 || dropped == 0 || w.born.Load() == 0 || w.crashed.Load() == 0 {
			t.Error("nothing much happened")
		}
	}
}
