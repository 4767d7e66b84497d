package utpnative

import (
	"testing"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

func TestADialogue(t *testing.T) {
	x, y := pair(t)
	a, b := x.connect(y)
	if i := a.link.Info(); i.Transport != "utp" || i.Remote != y.addr || i.Incoming {
		t.Errorf("dialed: %+v", i)
	}
	if i := b.link.Info(); i.Transport != "utp" || i.Local != y.addr || !i.Incoming {
		t.Errorf("accepted: %+v", i)
	}
	a.send(wire.Message{ID: wire.Interested}, request(3))
	b.want("interested")
	b.want(request(3).String())
	blk := b.slab.Lease()
	for i := range blk.Bytes() {
		blk.Bytes()[i] = byte(i * 7)
	}
	batch := transport.NewBatch()
	batch.AddPiece(wire.Message{ID: wire.Piece, Index: 7, Begin: 3 * block.Size}, blk)
	b.link.Send(batch)
	f := a.want("piece 7 49152+16384")
	for i, v := range f.Block.Bytes() {
		if v != byte(i*7) {
			t.Fatalf("byte %d is %d", i, v)
		}
	}
	f.Block.Release()
	a.link.Close(errBye)
	a.wantClosed("closed here: bye")
	b.wantClosed("EOF")
	if b.sent.Payload != block.Size || b.sent.Wire != block.Size+13+68 || b.sent.Batches != 2 {
		t.Errorf("flushed %+v", b.sent)
	}
}
