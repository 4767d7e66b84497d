package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

func TestPeerAsksForWhatItIsGiven(t *testing.T) {
	tp := livePeer(t, plain)
	tp.recv(msgIndex(wire.Bitfield, 0)) // see below
	tp.wantGone(faultProtocol, "wrong length")

	tp = livePeer(t, plain)
	tp.recv(wire.Message{ID: wire.Bitfield, Payload: []byte{0xff, 0xff, 0xf0}})
	if got := tp.heard(); got.has == nil || !got.has.Full() || got.state.need != 0 {
		t.Fatalf("bitfield: %+v", got)
	}
	tp.notify(stance{interested: true})
	tp.want("is interested", "interested")
	tp.recv(msg(wire.Unchoke))
	if got := tp.heard(); got.state.chokesUs || got.state.need != requestsMin {
		t.Fatalf("unchoked: %+v", got.state)
	}
	tp.assign(run{0, 18, 2}, run{19, 2, 2})
	tp.want("asks for four blocks, the last one short",
		"request 0 294912+16384", "request 0 311296+16384", "request 19 32768+16384", "request 19 49152+100")
	tp.wantIdle("nothing more until they come")
	tp.recv(tp.blocks(run{0, 18, 2})...)
	got := tp.heard()
	if !slices.Equal(got.blocks, []blockRef{{0, 18}, {0, 19}}) || got.state.down != 2*metainfo.BlockSize ||
		got.state.queued != 2 || got.state.need == 0 || got.wasted != 0 {
		t.Fatalf("two blocks: %+v", got)
	}
}

// A block that comes as 100 bytes is the block only where the piece ends there.
func TestPeerWastesWhatItDidNotAskFor(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 1})
	tp.forget()
	short := tp.msgBlock(wire.Piece, 0, 0)
	short.Length = 100
	shifted := tp.msgBlock(wire.Piece, 0, 0)
	shifted.Begin = 1
	tp.recv(short, shifted, tp.msgBlock(wire.Piece, 0, 1))
	if got := tp.heard(); got.wasted != 100+2*metainfo.BlockSize || len(got.blocks)+len(got.back) > 0 {
		t.Fatalf("unasked: %+v", got)
	}
	tp.recv(tp.msgBlock(wire.Piece, 0, 0), tp.msgBlock(wire.Piece, 0, 0))
	if got := tp.heard(); got.wasted != metainfo.BlockSize || len(got.blocks) != 1 {
		t.Fatalf("the second copy: %+v", got)
	}
}

// A link without a slot discards the payload: the lease must end.
func TestPeerBlockWithoutSlot(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 1})
	tp.forget()
	b := transport.NewBatch()
	b.AddPiece(tp.msgBlock(wire.Piece, 0, 0), nil)
	tp.put(b)
	if got := tp.heard(); got.wasted != metainfo.BlockSize || !slices.Equal(got.back, []blockRef{{0, 0}}) {
		t.Fatalf("%+v", got)
	}
}

func TestPeerUnaskedFlood(t *testing.T) {
	tp := leechPeer(t, plain)
	for range maxUnasked {
		tp.recv(tp.msgBlock(wire.Piece, 3, 0))
	}
	tp.alive("a few are tolerated")
	tp.recv(tp.msgBlock(wire.Piece, 3, 0))
	tp.wantGone(faultProtocol, "never asked for")
}

func TestPeerBlocksInAnyOrder(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 6})
	tp.forget()
	for _, b := range []metainfo.BlockIndex{3, 0, 5, 1, 4, 2} {
		tp.recv(tp.msgBlock(wire.Piece, 0, b))
	}
	if got := tp.heard(); len(got.blocks) != 6 || got.wasted != 0 || got.state.queued != 0 {
		t.Fatalf("%+v", got)
	}
}

// Without Fast a choke ends every lease at once; what was on its way still counts.
func TestPeerChokePlain(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 3})
	tp.forget()
	tp.recv(tp.msgBlock(wire.Piece, 0, 0), msg(wire.Choke), tp.msgBlock(wire.Piece, 0, 1))
	got := tp.heard()
	if !slices.Equal(got.back, []blockRef{{0, 1}, {0, 2}}) || !slices.Equal(got.blocks, []blockRef{{0, 0}, {0, 1}}) ||
		!got.state.chokesUs || got.state.need != 0 {
		t.Fatalf("%+v", got)
	}
	tp.recv(msg(wire.Choke))
	tp.wantIdle("a choke twice")
}

// A run that crosses a choke on its way comes back.
func TestPeerAssignedWhileChoked(t *testing.T) {
	tp := livePeer(t, plain)
	tp.assign(run{0, 4, 2})
	tp.want("must not ask")
	got := tp.heard()
	if !slices.Equal(got.back, []blockRef{{0, 4}, {0, 5}}) || got.state.assigned != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestPeerChokeFast(t *testing.T) {
	tp := leechPeer(t, fastExt)
	tp.assign(run{0, 0, 4})
	tp.forget()
	tp.recv(msg(wire.Choke))
	if got := tp.heard(); len(got.back) != 0 || !got.state.chokesUs {
		t.Fatalf("leases last until the rejects: %+v", got)
	}
	tp.recv(tp.msgBlock(wire.Reject, 0, 0), tp.msgBlock(wire.Reject, 0, 2), tp.msgBlock(wire.Piece, 0, 1))
	got := tp.heard()
	if !slices.Equal(got.back, []blockRef{{0, 0}, {0, 2}}) || len(got.blocks) != 1 || got.state.queued != 1 {
		t.Fatalf("%+v", got)
	}
	tp.pass(snubTime)
	if got := tp.heard(); !slices.Equal(got.back, []blockRef{{0, 3}}) || got.state.snubbed {
		t.Fatalf("the reject that never came: %+v", got)
	}
	tp.recv(tp.msgBlock(wire.Reject, 0, 3))
	tp.alive("it is late, but it was asked for")
	if got := tp.heard(); len(got.back) != 0 {
		t.Fatalf("given back twice: %+v", got)
	}
}

func TestPeerAllowedFastIn(t *testing.T) {
	tp := livePeer(t, fastExt)
	tp.recv(msgIndex(wire.AllowedFast, 5), msgIndex(wire.AllowedFast, 5), msgIndex(wire.AllowedFast, 9))
	got := tp.heard()
	if !slices.Equal(got.fast, []metainfo.PieceIndex{5, 9}) || got.state.need != 0 || got.state.needFast != requestsMin {
		t.Fatalf("%+v", got)
	}
	tp.assign(run{5, 0, 2}, run{6, 0, 1})
	tp.want("only that piece", "request 5 0+16384", "request 5 16384+16384")
	if got := tp.heard(); !slices.Equal(got.back, []blockRef{{6, 0}}) || got.state.needFast != 2 {
		t.Fatalf("%+v", got)
	}
	tp.recv(msg(wire.Unchoke))
	tp.assign(run{7, 0, 1})
	tp.recv(msg(wire.Choke), tp.msgBlock(wire.Reject, 7, 0), tp.msgBlock(wire.Piece, 5, 0))
	if got := tp.heard(); !slices.Equal(got.blocks, []blockRef{{5, 0}}) || !slices.Equal(got.back, []blockRef{{7, 0}}) {
		t.Fatalf("%+v", got)
	}
}

func TestPeerCancels(t *testing.T) {
	tp := leechPeer(t, fastExt)
	tp.assign(run{0, 0, 3})
	tp.forget()
	tp.cancel(blockRef{0, 1}, blockRef{4, 4})
	tp.want("takes one back", "cancel 0 16384+16384")
	tp.recv(tp.msgBlock(wire.Piece, 0, 1))
	got := tp.heard()
	if !slices.Equal(got.blocks, []blockRef{{0, 1}}) || len(got.back) != 0 || got.wasted != 0 {
		t.Fatalf("it came all the same, for the torrent to judge: %+v", got)
	}
	tp.cancel(blockRef{0, 2})
	tp.recv(tp.msgBlock(wire.Reject, 0, 2))
	if got := tp.heard(); len(got.back) != 0 {
		t.Fatalf("the torrent has ended that lease itself: %+v", got)
	}
}

// Without room at the remote, blocks wait here and can be cancelled without a word.
func TestPeerKeepsToReqq(t *testing.T) {
	tp := leechPeer(t, ltep)
	tp.recv(wire.ExtendedMessage(0, []byte("d4:reqqi2ee")))
	tp.assign(run{0, 0, 5})
	tp.want("two at a time", "request 0 0+16384", "request 0 16384+16384")
	tp.cancel(blockRef{0, 3})
	tp.recv(tp.blocks(run{0, 0, 2})...)
	tp.want("the next two", "request 0 32768+16384", "request 0 65536+16384")
	if got := tp.heard(); got.state.need != 0 {
		t.Fatalf("%+v", got)
	}
}

func TestPeerPause(t *testing.T) {
	tp := leechPeer(t, ltep)
	tp.recv(wire.ExtendedMessage(0, []byte("d4:reqqi2ee")))
	tp.assign(run{0, 0, 4})
	tp.forget()
	tp.notify(stance{noRequests: true})
	if got := tp.heard(); !slices.Equal(got.back, []blockRef{{0, 2}, {0, 3}}) || got.state.need != 0 {
		t.Fatalf("%+v", got)
	}
	tp.assign(run{1, 0, 1})
	tp.want("asks for nothing")
	tp.recv(tp.blocks(run{0, 0, 2})...)
	if got := tp.heard(); len(got.blocks) != 2 || !slices.Equal(got.back, []blockRef{{1, 0}}) {
		t.Fatalf("what was out may come: %+v", got)
	}
	tp.notify(stance{})
	if got := tp.heard(); got.state.need == 0 {
		t.Fatalf("goes on: %+v", got.state)
	}
}

func TestPeerSnub(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 4})
	tp.forget()
	tp.pass(snubTime - time.Second)
	if got := tp.heard(); got.state.snubbed || len(got.back) != 0 {
		t.Fatalf("too early: %+v", got)
	}
	tp.pass(time.Second)
	got := tp.heard()
	if !got.state.snubbed || !slices.Equal(got.back, []blockRef{{0, 0}, {0, 1}, {0, 2}}) || got.state.need != 0 {
		t.Fatalf("all but the newest come back: %+v", got)
	}
	tp.recv(tp.msgBlock(wire.Piece, 0, 0))
	got = tp.heard()
	if got.state.snubbed || !slices.Equal(got.blocks, []blockRef{{0, 0}}) || got.wasted != 0 || got.state.need < 3 {
		t.Fatalf("late, but welcome: %+v", got)
	}
	tp.want("asks for nothing by itself")
}

// A snubbed remote's last lease ends as well, some time.
func TestPeerSnubbedForGood(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 2})
	tp.pass(snubTime + requestTimeMax)
	got := tp.heard()
	if !slices.Equal(got.back, []blockRef{{0, 0}, {0, 1}}) || got.state.need != 1 {
		t.Fatalf("%+v", got)
	}
}

// One block that is forgotten while others come costs its lease, not the remote's honour.
func TestPeerRequestTimesOut(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 1})
	next := metainfo.BlockIndex(1)
	var back []blockRef
	for range 30 {
		tp.assign(run{0, next % 20, 1})
		tp.pass(time.Second)
		tp.recv(tp.msgBlock(wire.Piece, 0, next%20))
		got := tp.heard()
		back = append(back, got.back...)
		if got.state.snubbed {
			t.Fatal("snubbed although blocks come")
		}
		if next++; next%20 == 0 {
			next++
		}
	}
	if !slices.Equal(back, []blockRef{{0, 0}}) {
		t.Fatalf("came back: %v", back)
	}
}

// A remote that rejects although it does not choke us is asked for less, and after
// many rejects for nothing for a while.
func TestPeerRejectsWhileUnchoked(t *testing.T) {
	tp := leechPeer(t, fastExt)
	tp.assign(run{0, 0, 4})
	tp.forget()
	tp.recv(tp.msgBlock(wire.Reject, 0, 3))
	if got := tp.heard(); got.state.need != 0 || len(got.back) != 1 {
		t.Fatalf("three are enough for it: %+v", got)
	}
	for i := range metainfo.BlockIndex(maxRejects - 1) {
		if i > 2 {
			tp.assign(run{0, i, 1})
		}
		tp.recv(tp.msgBlock(wire.Reject, 0, i))
	}
	if got := tp.heard(); got.state.need != 0 || got.state.queued != 0 {
		t.Fatalf("a pause: %+v", got.state)
	}
	tp.pass(rejectPause)
	if got := tp.heard(); got.state.need != 1 {
		t.Fatalf("tries again: %+v", got.state)
	}
}

// The depth doubles each round trip while the rate grows, and need comes in batches.
func TestPeerDepthGrows(t *testing.T) {
	tp := leechPeer(t, ltep)
	tp.recv(wire.ExtendedMessage(0, []byte("d4:reqqi2000ee")))
	need := tp.peer.out.reported.need
	var depths []int32
	for piece := range metainfo.PieceIndex(6) {
		n := min(need, 20)
		tp.assign(run{piece, 0, n})
		tp.pass(20 * time.Millisecond)
		tp.recv(tp.blocks(run{piece, 0, n})...)
		need = tp.heard().state.need
		depths = append(depths, need)
	}
	if depths[0] < 8 || depths[1] < 16 || depths[5] < 40 {
		t.Fatalf("depths %v", depths)
	}
}

func TestPeerNeedComesInBatches(t *testing.T) {
	tp := leechPeer(t, ltep)
	tp.recv(wire.ExtendedMessage(0, []byte("d4:reqqi40ee")))
	for piece := range metainfo.PieceIndex(8) { // until the depth is what reqq allows
		tp.assign(run{piece, 0, 20}, run{piece + 8, 0, 20})
		tp.recv(tp.blocks(run{piece, 0, 20})...)
		tp.recv(tp.blocks(run{piece + 8, 0, 20})...)
	}
	if got := tp.heard(); got.state.need != 40 {
		t.Fatalf("need %d of 40", got.state.need)
	}
	tp.assign(run{0, 0, 20}, run{1, 0, 20})
	for i := range metainfo.BlockIndex(9) {
		tp.recv(tp.msgBlock(wire.Piece, 0, i))
		if got := tp.heard(); got.state.need != 0 {
			t.Fatalf("asks for %d with %d out", got.state.need, got.state.queued)
		}
	}
	tp.recv(tp.msgBlock(wire.Piece, 0, 9))
	if got := tp.heard(); got.state.need != 10 {
		t.Fatalf("a quarter is free, need %d", got.state.need)
	}
}
