package engine

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/sim"
)

// govTest is a governor in a world of its own, and what it has said.
type govTest struct {
	t     *testing.T
	w     *sim.World
	g     *governor
	ref   actor.Ref[governorMsg]
	heard []torrentMsg
}

func newGovTest(t *testing.T, caps Caps, limits Limits) *govTest {
	g := &govTest{t: t, w: sim.NewWorld(sim.Config{Seed: 1}), g: newGovernor(caps, limits)}
	g.ref = actor.Root(g.w, actor.Spec{Name: "governor", Limit: governorLimit}, g.g, func(actor.Exit) {}).Ref
	return g
}

func (g *govTest) enter(id uint64) {
	g.ref.Tell(enter{id, actor.FuncRef(func(m torrentMsg) { g.heard = append(g.heard, m) }), Limits{}})
	g.run(0)
}

func (g *govTest) run(d time.Duration) {
	g.t.Helper()
	g.w.Run(g.w.Now().Add(d))
	if err := g.w.Err(); err != nil {
		g.t.Fatal(err)
	}
	if err := g.w.Check(); err != nil {
		g.t.Fatal(err)
	}
}

func (g *govTest) dials() (n int32) {
	for _, m := range g.heard {
		if d, ok := m.(dialsGranted); ok {
			n += d.n
		}
	}
	return n
}

func TestHalfOpenSlotsAreSharedAndComeBack(t *testing.T) {
	g := newGovTest(t, Caps{HalfOpen: 3, Peers: 4}, Limits{})
	g.enter(1)
	g.enter(2)
	g.ref.Tell(wantDials{1, 2})
	g.ref.Tell(wantDials{2, 5})
	g.run(0)
	if g.dials() != 3 {
		t.Fatalf("3 may be half open at once, %d were granted", g.dials())
	}
	g.ref.Tell(dialOver{1, true})
	g.ref.Tell(dialOver{2, false})
	g.ref.Tell(wantDials{1, 5})
	g.run(0)
	if g.dials() != 5 {
		t.Fatalf("a connection keeps its slot, a failure does not: %d granted", g.dials())
	}
	g.ref.Tell(leave{1})
	g.ref.Tell(leave{2})
	g.run(0)
	if g.g.conns != 0 || g.g.halfOpen != 0 {
		t.Fatalf("all is free after the torrents have left: %d, %d", g.g.conns, g.g.halfOpen)
	}
}

// taker asks for bytes again as soon as it is granted some.
func (g *govTest) taker(torrent, peer uint64, dir direction, got *int64) {
	var ask func()
	reply := actor.FuncRef(func(b bytesGranted) {
		*got += b.n
		ask()
	})
	ask = func() { g.ref.Tell(wantBytes{torrent, peer, dir, 64 << 10, reply}) }
	ask()
}

func TestSessionLimitIsHeldAndShared(t *testing.T) {
	for _, limit := range []int64{64 << 10, 1 << 20, 50 << 20} {
		g := newGovTest(t, Caps{}, Limits{Down: limit})
		g.enter(1)
		g.enter(2)
		var got [10]int64
		for i := range got {
			g.taker(uint64(1+i%2), uint64(100+i), down, &got[i])
		}
		const span = 30 * time.Second
		g.run(span)
		var sum, least, most int64 = 0, got[0], 0
		for _, n := range got {
			sum += n
			least, most = min(least, n), max(most, n)
		}
		want := limit * 30
		if sum < want*97/100 || sum > want*103/100+limit/bucketDivisor {
			t.Errorf("limit %d: %d bytes in %v, want %d", limit, sum, span, want)
		}
		if least*10 < most*8 {
			t.Errorf("limit %d: shares differ: %d to %d", limit, least, most)
		}
	}
}

func TestTorrentLimitDoesNotHoldUpOthers(t *testing.T) {
	g := newGovTest(t, Caps{}, Limits{Up: 1 << 20})
	g.enter(1)
	g.enter(2)
	g.ref.Tell(setLimits{torrent: 1, limits: Limits{Up: 64 << 10}})
	var slow, fast int64
	g.taker(1, 10, up, &slow)
	g.taker(2, 20, up, &fast)
	g.run(20 * time.Second)
	if slow > 66<<10*20 || fast < 18<<20 {
		t.Fatalf("the limited torrent had %d bytes, the other %d", slow, fast)
	}
}

func TestLimitsChangeAtOnce(t *testing.T) {
	g := newGovTest(t, Caps{}, Limits{Down: 32 << 10})
	g.enter(1)
	var got int64
	g.taker(1, 10, down, &got)
	g.run(10 * time.Second)
	g.ref.Tell(setLimits{limits: Limits{Down: 10 << 20}})
	before := got
	g.run(time.Second)
	if got-before < 9<<20 {
		t.Fatalf("%d bytes in the second after the change", got-before)
	}
	last := g.heard[len(g.heard)-1]
	if m, ok := last.(limitsChanged); ok && !m.lim.down {
		t.Fatal("still limited, but peers were told otherwise")
	}
}
