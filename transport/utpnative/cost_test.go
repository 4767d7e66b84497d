package utpnative_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utpnative"
	"github.com/shoal-bt/shoal/wire"
)

// sink is the peer of many links. It answers requests.
type sink struct {
	links  []transport.Link
	blk    *block.Block
	pieces int
}

// quietPeer is one link's peer, as little as it can be.
type quietPeer struct {
	s    *sink
	link transport.Link
}

func (p quietPeer) Handle(_ *actor.Ctx[transport.Event], e transport.Event) {
	b, ok := e.(*transport.Batch)
	if !ok {
		return
	}
	for i := range b.Frames {
		switch b.Frames[i].ID {
		case wire.Request:
			out := transport.NewBatch()
			out.AddPiece(wire.Message{ID: wire.Piece}, p.s.blk.Retain())
			p.link.Send(out)
		case wire.Piece:
			p.s.pieces++
		}
	}
	b.Release()
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what was in pools is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// maxIdle is what an idle connection may cost on one side, bytes: link, machine,
// framer, and places in maps and wheel.
const maxIdle = 8 << 10

// A thousand connections that have moved a quarter of a MiB each, both ends of which are here,
// are small once they are idle.
func TestIdleConnectionIsSmall(t *testing.T) {
	if utpnative.RaceEnabled {
		return // the detector's own memory counts
	}
	const n = 1000
	w := sim.NewWorld(sim.Config{Seed: 1})
	slab := block.NewSlab(block.Size)
	s := &sink{blk: slab.Lease().Seal()}
	peer := func(l transport.Link) {
		l.Allow(transport.Unlimited)
		a := actor.Root(w, actor.Spec{Name: "peer"}, actor.Actor[transport.Event](quietPeer{s, l}), nil)
		l.Bind(a.Inlet)
		sayHello(l)
		s.links = append(s.links, l)
	}
	before := int64(0)
	a, b := pairIn(t, w, sim.NetConfig{Latency: 5 * time.Millisecond}, transport.Env{}, plainly,
		newDoor(w, func(in transport.Accepted) { peer(in.Link) }))
	// What peers cost that have no connection is not counted.
	bare := make([]actor.Child[transport.Event], n)
	before = heap()
	for i := range bare {
		bare[i] = actor.Root(w, actor.Spec{Name: "peer"}, actor.Actor[transport.Event](quietPeer{s, nil}), nil)
	}
	runFor(t, w, time.Second)
	perPeer := (heap() - before) / n
	before = heap()
	for range n {
		a.tr.Dial(transport.Dial{Addr: b.addr, Reply: actor.FuncRef(func(d transport.Dialed) {
			if d.Err != nil {
				t.Error(d.Err)
				return
			}
			peer(d.Link)
		})})
		runFor(t, w, 50*time.Millisecond)
	}
	if len(s.links) != 2*n {
		t.Fatalf("%d links", len(s.links))
	}
	for _, l := range s.links {
		ask := transport.NewBatch()
		for range 16 {
			ask.Add(wire.Message{ID: wire.Request, Length: block.Size})
		}
		l.Send(ask)
		runFor(t, w, 50*time.Millisecond)
	}
	runFor(t, w, time.Minute)
	if want := 2 * n * 16; s.pieces != want {
		t.Errorf("%d pieces came, want %d", s.pieces, want)
	}
	each := (heap()-before)/(2*n) - perPeer
	t.Logf("%d bytes per end of an idle connection, and %d for an actor behind it", each, perPeer)
	if each > maxIdle && !utpnative.RaceEnabled {
		t.Errorf("an idle connection costs %d bytes, want at most %d", each, maxIdle)
	}
	runtime.KeepAlive(bare)
	for _, l := range s.links {
		l.Close(errBye)
	}
	runFor(t, w, time.Minute)
	utpnative.WantNothing(t, a.mux)
	utpnative.WantNothing(t, b.mux)
}
