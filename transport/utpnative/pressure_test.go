package utpnative

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// flood sends n messages of 1 KiB in as many batches.
func (e *end) flood(n int) {
	for range n {
		e.send(wire.Message{ID: wire.Extended, Payload: make([]byte, 1018)})
	}
}

// stalls waits until nothing more leaves, and returns how much has.
func (e *end) stalls() int64 {
	for {
		select {
		case ev := <-e.events:
			e.take(ev)
		case <-time.After(100 * time.Millisecond):
			return e.sent.Wire
		}
	}
}

// A peer that does not read closes the window: what the remote can send is bounded by
// it, and by what the mailbox takes.
func TestUnreadMailClosesTheWindow(t *testing.T) {
	w := newWorld(t)
	x := newNode(t, w, Config{})
	y := newNode(t, w, Config{Window: 64 << 10}).listen("127.0.0.1:0")
	a, b := x.connect(y)
	const n = 8000
	a.flood(n)
	sent := a.stalls()
	if sent > 3<<20 {
		t.Errorf("%d bytes left for a peer that reads nothing", sent)
	}
	for len(b.frames) < n {
		b.hear("the flood")
	}
	for a.sent.Wire < 68+n*1024 {
		a.hear("Flushed")
	}
	if a.sent.Batches != n+1 {
		t.Errorf("%d batches were answered, want %d", a.sent.Batches, n+1)
	}
	a.link.Close(errBye)
	a.wantClosed("bye")
	b.wantClosed("EOF")
}

// A grant bounds what comes, but for what the remote had been told before.
func TestGrantsBoundWhatComes(t *testing.T) {
	x, y := pair(t)
	mine, theirs := x.shake(y)
	a, b := x.bind(mine), y.bind(theirs)
	a.flood(100)
	if sent := a.stalls(); sent > firstGrant+2000 {
		t.Errorf("%d bytes came without a grant", sent)
	}
	theirs.Allow(20 << 10)
	before := int64(20<<10 + 68)
	for b.wire < before-1500-1024 {
		b.hear("what was granted")
	}
	if b.stalls(); b.wire > before+2000 {
		t.Errorf("%d bytes came of %d that were granted", b.wire, before)
	}
	theirs.Allow(transport.Unlimited)
	for len(b.frames) < 100 {
		b.hear("the rest")
	}
	theirs.Allow(0) // takes it back
	b.stalls()
	a.flood(3000)
	if b.stalls(); b.wire > 100<<10+defaultWindow+8<<10 {
		t.Errorf("%d bytes came after the grant was taken back", b.wire)
	}
	theirs.Allow(transport.Unlimited)
	for len(b.frames) < 3100 {
		b.hear("the rest")
	}
	mine.Close(nil)
	a.wantClosed("")
	b.wantClosed("EOF")
}

// When the slab is spent, what comes waits, and nothing is lost.
func TestSpentSlab(t *testing.T) {
	w := newWorld(t)
	x := newNode(t, w, Config{})
	y := newNode(t, w, Config{Env: transport.Env{Slab: block.NewSlab(4 * block.Size)}}).listen("127.0.0.1:0")
	a, b := x.connect(y)
	const n = 40
	for i := range n {
		b.send(request(i))
	}
	for i := range n {
		a.want(request(i).String())
	}
	batch := transport.NewBatch()
	for i := range n {
		blk := x.slab.Lease()
		clear(blk.Bytes())
		blk.Bytes()[i] = byte(i)
		batch.AddPiece(wire.Message{ID: wire.Piece, Index: 7, Begin: uint32(i) * block.Size}, blk)
	}
	a.link.Send(batch)
	for i := range n {
		for len(b.frames) == 0 {
			b.hear("a piece")
		}
		if i == 3 { // it holds all four: more can't come
			b.stalls()
		}
		f := b.frames[0]
		b.frames = b.frames[1:]
		if f.Begin != uint32(i)*block.Size || f.Block == nil || f.Block.Bytes()[i] != byte(i) {
			t.Fatalf("piece %d: %s", i, show(f))
		}
		f.Block.Release()
	}
	b.link.Close(errBye)
	b.wantClosed("bye")
	a.wantClosed("EOF")
}
