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

func TestSessionIsToldOfACrowd(t *testing.T) {
	g := newGovTest(t, Caps{Peers: 32}, Limits{})
	var told []bool
	g.ref.Tell(serveSession{actor.FuncRef(func(m sessionMsg) { told = append(told, m.(crowded).on) })})
	g.enter(1)
	came := func(n int) {
		for range n {
			g.ref.Tell(tookPeer{1})
		}
		g.run(0)
	}
	came(31)
	if len(told) != 0 {
		t.Fatal("there is room")
	}
	came(1)
	g.ref.Tell(lostPeer{1})
	g.run(0)
	if len(told) != 1 || !told[0] {
		t.Fatalf("told %v: one connection that ends is no news", told)
	}
	g.ref.Tell(lostPeer{1})
	g.run(0)
	if len(told) != 2 || told[1] {
		t.Fatalf("told %v: now there is room", told)
	}
	came(2)
	g.ref.Tell(leave{1})
	g.run(0)
	if len(told) != 4 || told[3] {
		t.Fatalf("told %v: a torrent that leaves makes room", told)
	}
}

func TestDialsAreOnlyGrantedWhereThereIsRoom(t *testing.T) {
	g := newGovTest(t, Caps{Peers: 3}, Limits{})
	g.enter(1)
	g.ref.Tell(tookPeer{1})
	g.ref.Tell(wantDials{1, 5})
	g.run(0)
	if g.dials() != 2 {
		t.Fatalf("%d granted", g.dials())
	}
	g.ref.Tell(wantDials{1, 5})
	g.ref.Tell(wantDials{1, 0}) // withdrawn
	g.ref.Tell(lostPeer{1})
	g.run(0)
	if g.dials() != 2 {
		t.Fatalf("what was withdrawn was granted: %d", g.dials())
	}
	g.ref.Tell(wantDials{1, 5})
	g.run(0)
	if g.dials() != 3 {
		t.Fatalf("%d granted", g.dials())
	}
}

func TestDialsAreSharedAmongTorrents(t *testing.T) {
	g := newGovTest(t, Caps{HalfOpen: 2}, Limits{})
	var got [3]int32
	for i := range got {
		g.ref.Tell(enter{uint64(i + 1), actor.FuncRef(func(m torrentMsg) {
			if d, ok := m.(dialsGranted); ok {
				got[i] += d.n
				for range d.n {
					g.ref.Tell(dialOver{uint64(i + 1), false})
				}
			}
		}), Limits{}})
	}
	for range 30 {
		for i := range got {
			g.ref.Tell(wantDials{uint64(i + 1), 2})
		}
		g.run(0)
	}
	if least, most := min(got[0], got[1], got[2]), max(got[0], got[1], got[2]); least*2 < most {
		t.Errorf("shares %v", got)
	}
}

func TestUploadSlotsFollowTheRate(t *testing.T) {
	g := newGovTest(t, Caps{UploadSlots: 4}, Limits{})
	g.enter(1)
	last := func() int32 {
		var n int32
		for _, m := range g.heard {
			if s, ok := m.(slots); ok {
				n = s.n
			}
		}
		return n
	}
	if last() != 4 {
		t.Fatalf("%d slots at the beginning", last())
	}
	for rate, want := range map[int64]int32{slotRate: 4, 10 * slotRate: 10, 1000 * slotRate: maxSlots, 0: 4} {
		g.ref.Tell(demand{torrent: 1, upRate: rate})
		g.run(0)
		if last() != want {
			t.Errorf("%d bytes a second: %d slots, want %d", rate, last(), want)
		}
	}
}

func TestPeersLimitIsForItselfAlone(t *testing.T) {
	g := newGovTest(t, Caps{}, Limits{})
	g.enter(1)
	g.ref.Tell(setLimits{torrent: 1, peer: 10, limits: Limits{Down: 50 << 10}})
	var slow, fast int64
	g.taker(1, 10, down, &slow)
	g.ref.Tell(setLimits{limits: Limits{Down: 1 << 20}})
	g.taker(1, 11, down, &fast)
	g.run(10 * time.Second)
	if slow > 52<<10*10 || slow < 45<<10*10 || fast < 9<<20 {
		t.Errorf("the limited peer had %d, the other %d", slow, fast)
	}
	g.ref.Tell(peerLeft{1, 10})
	g.run(time.Second)
	before := slow
	g.run(time.Second)
	if slow != before {
		t.Error("a peer that has left is still served")
	}
	if g.g.torrents[1].peers[10] != nil {
		t.Error("its limit is remembered")
	}
}

func TestTorrentThatLeavesTakesItsWants(t *testing.T) {
	g := newGovTest(t, Caps{}, Limits{Up: 1 << 10})
	g.enter(1)
	var got int64
	g.taker(1, 10, up, &got)
	g.taker(1, 11, up, &got)
	g.run(time.Second)
	g.ref.Tell(leave{1})
	g.ref.Tell(leave{1}) // again: harmless
	g.run(time.Minute)
	if len(g.g.waiting) != 0 {
		t.Errorf("%d wants are left", len(g.g.waiting))
	}
	if quiet := g.w.Run(g.w.Now().Add(time.Hour)); !quiet {
		t.Error("the governor goes on looking after nobody")
	}
}

func TestGovernorIgnoresWhoIsUnknown(t *testing.T) {
	g := newGovTest(t, Caps{}, Limits{})
	for _, m := range []governorMsg{wantDials{9, 5}, dialOver{9, true}, tookPeer{9}, lostPeer{9}, demand{torrent: 9},
		setLimits{torrent: 9, limits: Limits{Down: 5}}, peerLeft{9, 9}, leave{9}} {
		g.ref.Tell(m)
	}
	g.run(time.Second)
	if g.g.conns != 0 || g.g.halfOpen != 0 || len(g.heard) != 0 {
		t.Errorf("%d connections, %d half open, heard %v", g.g.conns, g.g.halfOpen, g.heard)
	}
}
