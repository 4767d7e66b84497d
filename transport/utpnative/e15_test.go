package utpnative_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utpnative"
	"github.com/shoal-bt/shoal/wire"
)

const ms = time.Millisecond

// The experiments with LEDBAT at a bottleneck, over whole transports: sockets of the
// simulator, the actor, links and the messages of peers.

// road is a simulated network with a bottleneck there and a plain way back.
type road struct {
	t           testing.TB
	w           *sim.World
	n           *sim.Network
	there, back *netpath.Link
	rate        int64
}

func newRoad(t testing.TB, seed uint64, rate int64, rtt clock.Duration) *road {
	w := sim.NewWorld(sim.Config{Seed: seed})
	n := sim.NewNetwork(w, sim.NetConfig{})
	return &road{t, w, n, n.PacketLink(netpath.Config{Rate: rate, Delay: rtt / 2}),
		n.PacketLink(netpath.Config{Delay: rtt / 2, Jitter: ms}), rate}
}

func (r *road) run(d clock.Duration) {
	r.t.Helper()
	r.w.Run(r.w.Now().Add(d))
	if err := r.w.Err(); err != nil {
		r.t.Fatal(err)
	}
}

// upload is a peer that writes pieces without end, and the one that reads them.
type upload struct {
	r      *road
	link   transport.Link
	blk    *block.Block
	unsent int64
	got    int64
	closed error
}

// uploads begins an upload between two new hosts.
func (r *road) uploads() *upload {
	from, to := r.n.Host(sim.HostConfig{}), r.n.Host(sim.HostConfig{})
	r.n.Join(from, to, r.there)
	r.n.Join(to, from, r.back)
	u := &upload{r: r, blk: block.NewSlab(block.Size).Lease().Seal()}
	server := r.transport(to)
	door := actor.Root(r.w, actor.Spec{Name: "door"}, actor.Actor[transport.Accepted](door{u}), nil)
	var at netip.AddrPort
	server.Listen(netip.AddrPortFrom(to.Addr(), 0), door.Inlet, actor.FuncRef(func(l transport.Listening) {
		if l.Err != nil {
			r.t.Fatal(l.Err)
		}
		at = l.Addr
	}))
	r.run(ms)
	r.transport(from).Dial(transport.Dial{Addr: at, Reply: actor.FuncRef(u.dialed)})
	return u
}

func (r *road) transport(h *sim.Host) transport.Transport {
	return utpnative.New(r.w, utpnative.Config{
		Env: transport.Env{Slab: block.NewSlab(1 << 20), World: r.w}, Open: h, Window: 8 << 20,
	})
}

func (u *upload) dialed(d transport.Dialed) {
	if d.Err != nil {
		u.r.t.Error(d.Err)
		return
	}
	u.link = d.Link
	a := actor.Root(u.r.w, actor.Spec{Name: "writer"}, actor.Actor[transport.Event](writer{u}), nil)
	hello := transport.NewBatch()
	hello.Handshake = &wire.Handshake{}
	u.link.Send(hello)
	u.link.Bind(a.Inlet)
	u.fill()
}

// fill keeps 4 MiB in the link.
func (u *upload) fill() {
	for u.closed == nil && u.unsent < 4<<20 {
		b := transport.NewBatch()
		for range 8 {
			b.AddPiece(wire.Message{ID: wire.Piece}, u.blk.Retain())
			u.unsent += block.Size
		}
		u.link.Send(b)
	}
}

type writer struct{ *upload }

func (u writer) Handle(_ *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case transport.Flushed:
		u.unsent -= e.Payload
		u.fill()
	case *transport.Batch:
		e.Release()
	case transport.Closed:
		u.closed = e.Err
	}
}

// door takes the connection in.
type door struct{ *upload }

func (u door) Handle(_ *actor.Ctx[transport.Accepted], m transport.Accepted) {
	a := actor.Root(u.r.w, actor.Spec{Name: "reader"}, actor.Actor[transport.Event](reader(u)), nil)
	m.Link.Allow(transport.Unlimited)
	m.Link.Bind(a.Inlet)
}

type reader struct{ *upload }

func (u reader) Handle(_ *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case *transport.Batch:
		u.got += e.Wire
		e.Release()
	case transport.Closed:
		u.closed = e.Err
	}
}

func (u *upload) total() int64 { return u.got }

// shares lets time pass and returns how much of two flows' bytes was the second's, and
// how much of the link both had.
func (r *road) shares(d clock.Duration, first, second func() int64) (share, both float64) {
	x, y := first(), second()
	r.run(d)
	x, y = first()-x, second()-y
	return float64(y) / float64(x+y), float64(x+y) / d.Seconds() / float64(r.rate)
}

// roads runs an experiment over some bottlenecks, twice each, which must give the same
// run.
func roads(t *testing.T, f func(t *testing.T, r *road)) {
	for i, c := range []struct {
		name string
		rate int64
		rtt  clock.Duration
	}{{"1 Mbit/s, 10 ms", 125_000, 10 * ms}, {"1 Mbit/s, 50 ms", 125_000, 50 * ms}, {"5 Mbit/s, 100 ms", 625_000, 100 * ms}} {
		t.Run(c.name, func(t *testing.T) {
			var hash [2]uint64
			for k := range hash {
				r := newRoad(t, uint64(i), c.rate, c.rtt)
				f(t, r)
				hash[k] = r.w.Hash()
			}
			if hash[0] != hash[1] {
				t.Error("the same seed gave another run")
			}
		})
	}
}

// One flow holds the queue at the target and fills the link.
func TestStandingQueue(t *testing.T) {
	roads(t, func(t *testing.T, r *road) {
		u := r.uploads()
		r.run(10 * time.Second)
		before := r.there.Stats().Bytes
		var waits []clock.Duration
		var sum clock.Duration
		const span = 30
		for range span * 100 {
			r.run(10 * ms)
			waits = append(waits, r.there.Wait(r.w.Now()))
			sum += waits[len(waits)-1]
		}
		slices.Sort(waits)
		median, mean := waits[len(waits)/2], sum/clock.Duration(len(waits))
		util := float64(r.there.Stats().Bytes-before) / float64(r.rate) / span
		t.Logf("queue median %v, mean %v, utilisation %.3f", median, mean, util)
		if median < 85*ms || median > 115*ms || mean < 85*ms || mean > 115*ms || util < 0.95 || u.closed != nil {
			t.Errorf("queue %v, mean %v, utilisation %.3f, want 100 ± 15 ms, 0.95; %v", median, mean, util, u.closed)
		}
	})
}

// A flow that comes when another has filled the queue ends with its half.
func TestLateComer(t *testing.T) {
	roads(t, func(t *testing.T, r *road) {
		first := r.uploads()
		r.run(10 * time.Second)
		second := r.uploads()
		r.run(40 * time.Second)
		share, both := r.shares(20*time.Second, first.total, second.total)
		t.Logf("the late-comer has %.3f, both %.3f of the link", share, both)
		if share < 0.35 || share > 0.65 || both < 0.9 || errors.Join(first.closed, second.closed) != nil {
			t.Errorf("share %.3f of %.3f of the link, want 0.50 ± 0.15", share, both)
		}
	})
}

// Against one Reno flow it yields.
func TestYieldsToReno(t *testing.T) {
	roads(t, func(t *testing.T, r *road) {
		u := r.uploads()
		r.run(10 * time.Second)
		reno := r.n.NewReno(r.there, r.back, sim.RenoConfig{})
		r.run(20 * time.Second)
		share, both := r.shares(40*time.Second, reno.Acked, u.total)
		t.Logf("uTP has %.3f, both %.3f of the link; %+v", share, both, reno.Stats())
		if share > 0.1 || both < 0.9 || u.closed != nil {
			t.Errorf("share %.3f of %.3f of the link, want at most 0.10 of at least 0.90; %v", share, both, u.closed)
		}
	})
}
