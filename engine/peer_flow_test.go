package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

func limit(l limited) func(*peerConfig) { return func(cfg *peerConfig) { cfg.lim = l } }

// tpFloor is what may come without a grant.
const tpFloor = flowFloor + wire.HandshakeLen + 3

func TestPeerUnlimitedNeedsNoGrants(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 4})
	tp.recv(tp.blocks(run{0, 0, 4})...)
	if tp.link.grants != nil || tp.asks != nil {
		t.Fatalf("grants %v, asks %v", tp.link.grants, tp.asks)
	}
}

func TestPeerLimitedDown(t *testing.T) {
	tp := leechPeer(t, plain, limit(limited{down: true}))
	if tp.link.allowed != tpFloor {
		t.Fatalf("%d allowed after the handshake and two messages, want %d", tp.link.allowed, tpFloor)
	}
	tp.noGovernor = true
	tp.recv(msgIndex(wire.Have, 3))
	if len(tp.asks) != 0 || tp.link.allowed != tpFloor {
		t.Fatalf("no payload is out, but asks %v, allowed %d", tp.asks, tp.link.allowed)
	}
	tp.assign(run{0, 0, 4})
	if len(tp.asks) != 1 || tp.asks[0].n != flowQuantumMin || tp.asks[0].dir != down ||
		tp.asks[0].torrent != 1 || tp.asks[0].peer != tp.child.Ref.ID() {
		t.Fatalf("asks %+v", tp.asks)
	}
	tp.recv(msgIndex(wire.Have, 4))
	if len(tp.asks) != 1 {
		t.Fatal("one at a time")
	}
	tp.grant(block.Size)
	tp.settle()
	if tp.link.allowed != tpFloor+block.Size || len(tp.asks) != 0 {
		t.Fatalf("allowed %d, asks %v", tp.link.allowed, tp.asks)
	}
	tp.recv(tp.msgBlock(wire.Piece, 0, 0))
	if tp.link.allowed != tpFloor || len(tp.asks) != 1 {
		t.Fatalf("allowed %d, asks %v", tp.link.allowed, tp.asks)
	}
}

// The floor is there once, not with every grant.
func TestPeerFloorIsUsedOnce(t *testing.T) {
	tp := leechPeer(t, plain, limit(limited{down: true}))
	total := int64(0)
	for i := range metainfo.BlockIndex(20) {
		tp.assign(run{0, i, 1})
		tp.recv(tp.msgBlock(wire.Piece, 0, i))
		total += block.Size
	}
	allowed := int64(0)
	for _, n := range tp.link.grants {
		allowed += n
	}
	headers := int64(20 * wire.PieceHeaderLen)
	if over := allowed - headers - total; over > tpFloor+flowQuantumMin {
		t.Fatalf("%d bytes allowed beyond what came", over)
	}
}

// It is our own limit that keeps the blocks from coming: no snub, no timeout, no
// silence.
func TestPeerStarvedIsNotSnubbed(t *testing.T) {
	tp := leechPeer(t, plain, limit(limited{down: true}))
	tp.noGovernor = true
	tp.assign(run{0, 0, 4})
	tp.forget()
	tp.pass(10 * time.Minute)
	tp.alive("we have not let it speak")
	if got := tp.heard(); got.state.snubbed || len(got.back) > 0 {
		t.Fatalf("%+v", got)
	}
	tp.grant(4 * block.Size)
	tp.pass(snubTime - time.Second)
	if got := tp.heard(); got.state.snubbed {
		t.Fatal("its time began with the grant")
	}
	tp.pass(time.Second)
	if got := tp.heard(); !got.state.snubbed {
		t.Fatalf("now it had its time: %+v", got)
	}
}

func TestPeerLimitsComeAndGo(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.noGovernor = true
	tp.assign(run{0, 0, 8})
	tp.forget()
	tp.notify(rates{limited{down: true}})
	if !slices.Equal(tp.link.grants, []int64{0, tpFloor}) || len(tp.asks) != 1 {
		t.Fatalf("limited: grants %v, asks %v", tp.link.grants, tp.asks)
	}
	tp.notify(rates{limited{}})
	tp.link.grants = nil
	tp.grant(block.Size)
	tp.settle()
	if tp.link.grants != nil || len(tp.asks) != 0 {
		t.Fatalf("a grant after the limit was lifted: %v, asks %v", tp.link.grants, tp.asks)
	}
	tp.recv(tp.blocks(run{0, 0, 4})...)
	tp.notify(rates{limited{down: true}})
	if !slices.Equal(tp.link.grants, []int64{0, tpFloor}) || len(tp.asks) != 1 {
		t.Fatalf("limited again: grants %v, asks %v", tp.link.grants, tp.asks)
	}
	tp.grant(1)
}

func TestPeerLimitedUp(t *testing.T) {
	tp := seedPeer(t, fastExt, limit(limited{up: true}))
	tp.noGovernor = true
	tp.recv(tp.requests(run{0, 0, 20})...)
	tp.want("nothing without a grant")
	if len(tp.asks) != 1 || tp.asks[0].dir != up || tp.asks[0].n != flowQuantumMin {
		t.Fatalf("asks %+v", tp.asks)
	}
	if tp.slab.Used() > 8 {
		t.Fatalf("%d slots wait for grants", tp.slab.Used())
	}
	tp.grant(2*block.Size + 5)
	tp.want("as much as was granted", "piece 0 0+16384", "piece 0 16384+16384")
	tp.grant(block.Size - 5)
	tp.want("the rest counts", "piece 0 32768+16384")
	tp.notify(rates{limited{}})
	tp.settle()
	if n := len(tp.link.sent); n != 17 {
		t.Fatalf("%d of 17 pieces after the limit was lifted", n)
	}
	tp.forget()
	tp.grant(1)
}

// One long request needs all its bytes at once.
func TestPeerLimitedUpLongRequest(t *testing.T) {
	tp := seedPeer(t, plain, limit(limited{up: true}))
	tp.noGovernor = true
	tp.recv(request(0, 0, 128<<10))
	for range 8 {
		tp.want("not yet")
		if len(tp.asks) != 1 {
			t.Fatalf("asks %+v", tp.asks)
		}
		tp.grant(block.Size) // as a slow bucket does
		tp.settle()
	}
	tp.want("all of it", "piece 0 0+131072")
}

func TestFlowQuantum(t *testing.T) {
	for _, c := range []struct{ rate, want int64 }{
		{0, 16 << 10}, {1 << 20, 128 << 10}, {1 << 30, 256 << 10},
	} {
		if got := flowQuantum(c.rate); got != c.want {
			t.Errorf("at %d bytes a second %d, want %d", c.rate, got, c.want)
		}
	}
}

func TestHaveSet(t *testing.T) {
	h := haveSet{pieces: 10}
	h.tidy()
	if !h.none() || h.full() || h.has(0) || len(h.wire()) != 2 {
		t.Fatalf("nothing: %+v", h)
	}
	if h.add(10) || h.add(-1) || !h.none() {
		t.Fatal("what is no piece was added")
	}
	for i := range int32(10) {
		if !h.add(i) || h.add(i) || !h.has(i) {
			t.Fatalf("piece %d: %+v", i, h)
		}
	}
	if !h.full() || h.none() || h.some != nil || h.has(10) || h.has(-1) {
		t.Fatalf("all: %+v", h)
	}
	if got := h.wire(); got[0] != 0xff || got[1] != 0xc0 {
		t.Fatalf("on the wire %08b", got)
	}
	some := bits.New(10)
	some.Set(2)
	h = haveSet{some: &some, pieces: 10}
	h.tidy()
	if h.none() || h.full() || !h.has(2) || h.has(3) {
		t.Fatalf("some: %+v", h)
	}
}

// Control messages bigger than the floor come through piecewise.
func TestPeerLongControlMessageUnderLimit(t *testing.T) {
	tp := livePeer(t, ltep, limit(limited{down: true}))
	for range 10 {
		b := transport.NewBatch()
		b.Wire = tp.link.allowed // a part of a message, as far as the link may read
		tp.put(b)
		if tp.link.allowed != tpFloor {
			t.Fatalf("allowed %d", tp.link.allowed)
		}
	}
}
