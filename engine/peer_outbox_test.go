package engine

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

// One drain makes one batch and one report, whatever is in it.
func TestPeerOneOfEachPerTurn(t *testing.T) {
	tp := leechPeer(t, fastExt, seeding(1))
	tp.notify(stance{unchoke: true, interested: true})
	tp.assign(run{0, 0, 4})
	tp.forget()
	batches := tp.link.batches
	msgs := append(tp.blocks(run{0, 0, 4}), msg(wire.Interested), msgIndex(wire.Have, 3), msgIndex(wire.Have, 4),
		msgIndex(wire.Suggest, 3), request(1, 0, 16384), request(5, 0, 16384), request(6, 0, 16384))
	tp.recv(msgs...)
	if got := tp.heard(); got.n != 1 || len(got.blocks) != 4 || len(got.haves) != 2 || !got.state.interested {
		t.Fatalf("heard %+v", got)
	}
	// The piece comes in a later turn, when it has been read.
	if n := tp.link.batches - batches; n != 2 {
		t.Fatalf("%d batches: %v", n, tp.link.sent)
	}
	tp.forget()
}

// A remote that changes its mind all the time does not flood the torrent, and the
// torrent hears the last word.
func TestPeerReportsAreHeldBack(t *testing.T) {
	tp := livePeer(t, plain)
	for i := range 401 {
		tp.recv(msg([]wire.ID{wire.Interested, wire.NotInterested}[i%2]), msgIndex(wire.Have, uint32(i%tpPieces)))
	}
	got := tp.heard()
	if got.n > reportBurst {
		t.Fatalf("%d reports at one instant", got.n)
	}
	haves := len(got.haves)
	tp.pass(reportSpan)
	got = tp.heard()
	if got.n != 1 || !got.state.interested || haves+len(got.haves) != 401 {
		t.Fatalf("%d haves and then %+v", haves, got)
	}
	// Payload is never held back: slots wait for nobody.
	tp.recv(msg(wire.Unchoke))
	tp.pass(time.Second)
	for range 2 * reportBurst {
		tp.recv(msg(wire.Interested))
		tp.recv(msg(wire.NotInterested))
	}
	tp.forget()
	tp.assign(run{0, 0, 1})
	tp.recv(tp.msgBlock(wire.Piece, 0, 0))
	if got := tp.heard(); len(got.blocks) != 1 {
		t.Fatalf("%+v", got)
	}
}

// While nothing moves, nothing is said; an idle connection wakes for keep-alives only.
func TestPeerIdleIsQuiet(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.pass(time.Second)
	tp.forget()
	before := tp.w.Steps()
	for range 20 {
		tp.pass(30 * time.Second)
		tp.recv(msg(wire.KeepAlive)) // one turn each
	}
	if got := tp.heard(); got.n != 0 {
		t.Fatalf("%d reports of nothing", got.n)
	}
	if turns := tp.w.Steps() - before; turns > 20+3*6 {
		t.Fatalf("%d turns in ten idle minutes", turns)
	}
	tp.forget()
}

// Counters of an upload are told twice a second while they move, and once more.
func TestPeerCountersAreTold(t *testing.T) {
	tp := seedPeer(t, plain)
	for i := range metainfo.PieceIndex(10) {
		tp.recv(tp.msgBlock(wire.Request, i, 0))
		tp.pass(100 * time.Millisecond)
	}
	tp.pass(time.Second)
	if got := tp.heard(); got.state.up != 10*metainfo.BlockSize || got.n > 4 {
		t.Fatalf("%d reports, up %d", got.n, got.state.up)
	}
	tp.recv(tp.msgBlock(wire.Request, 11, 0))
	tp.child.Stop(nil)
	if got := tp.heard(); got.state.up != 11*metainfo.BlockSize {
		t.Fatalf("the last word is up %d", got.state.up)
	}
	tp.forget()
}

// The windows of a peer are empty when everybody has answered.
func TestPeerChecksItself(t *testing.T) {
	tp := seedPeer(t, plain, limit(limited{true, true}))
	if err := tp.peer.Check(); err != nil {
		t.Fatal(err)
	}
	tp.noDisk, tp.noGovernor = true, true
	tp.recv(tp.msgBlock(wire.Request, 0, 0))
	if err := tp.peer.Check(); err == nil {
		t.Fatal("a read is under way")
	}
	tp.serve(1, nil)
	tp.settle()
	if err := tp.peer.Check(); err == nil {
		t.Fatal("the governor owes bytes")
	}
	tp.grant(1 << 20)
	tp.settle()
	if err := tp.peer.Check(); err != nil {
		t.Fatal(err)
	}
	tp.forget()
	dialing := newTestPeer(t)
	if err := dialing.peer.Check(); err == nil {
		t.Fatal("a dial is under way")
	}
}
